"""RTP for calls: the engine contract (`media.engine`) and the native engine (`media.native`)."""
