pub mod admission;
pub mod law;
pub mod scan;
