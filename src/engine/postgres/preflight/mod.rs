//! What is looked at before anything is touched.

mod spelled;

pub use spelled::spelled;
