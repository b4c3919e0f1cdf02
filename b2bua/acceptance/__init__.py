"""Between a human's answer and the bridge: what they alone hear, and what they must do to get the caller."""
