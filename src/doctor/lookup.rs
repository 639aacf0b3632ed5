//! Something that was looked up in a cluster.

use kube::Error;

use crate::cluster::error::ApiError;

#[derive(Debug, Clone)]
pub enum Lookup<T> {
    Found(T),
    Absent,
    /// It could not be looked up, and why.
    Unknown(String),
}

impl<T> Lookup<T> {
    pub fn found(&self) -> Option<&T> {
        match self {
            Lookup::Found(value) => Some(value),
            _ => None,
        }
    }

    pub fn of(read: Result<Option<T>, Error>) -> Self {
        match read {
            Ok(Some(value)) => Lookup::Found(value),
            Ok(None) => Lookup::Absent,
            Err(error) => Lookup::Unknown(ApiError(error).to_string()),
        }
    }
}
