//! More than fits into memory.
