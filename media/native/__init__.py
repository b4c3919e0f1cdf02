"""The default engine, over the Rust core `media._native`."""

from media.native.call import NativeCall
from media.native.engine import NativeEngine, NativeSettings
from media.native.leg import NativeLeg
from media.native.prompt import NativePrompt

__all__ = ["NativeCall", "NativeEngine", "NativeLeg", "NativePrompt", "NativeSettings"]
