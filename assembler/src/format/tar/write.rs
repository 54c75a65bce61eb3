//! Members to a tar stream.
