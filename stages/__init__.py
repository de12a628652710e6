"""One DVC stage a file: read, call ser, write."""
