"""The bytes of the wire: frames, values, messages."""
