//! .
/// Image reference
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference;
