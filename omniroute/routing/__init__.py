"""From a model name to an ordered plan of targets, without I/O."""
