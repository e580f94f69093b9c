//! A key comes only when a new read sees its change.
