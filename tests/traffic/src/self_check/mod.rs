//! placeholder
pub struct SelfCheck;
pub async fn self_check(_url: &str) -> Result<SelfCheck, crate::Error> { Ok(SelfCheck) }
