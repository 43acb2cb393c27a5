"""The engine: a core, a worker and lowering around one event loop."""
