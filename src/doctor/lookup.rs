//! The result of looking up a value in a cluster.

use kube::Error;

use crate::cluster::error::ApiError;

/// A value of the cluster, if it is known.
#[derive(Debug, Clone)]
pub enum Lookup<T> {
    Found(T),
    /// The object or the field does not exist.
    Absent,
    /// The lookup failed, for this reason.
    Unknown(String),
}

impl<T> Lookup<T> {
    /// Returns the value if it was found.
    pub fn found(&self) -> Option<&T> {
        match self {
            Lookup::Found(value) => Some(value),
            _ => None,
        }
    }

    /// Converts the result of a request.
    pub fn of(read: Result<Option<T>, Error>) -> Self {
        match read {
            Ok(Some(value)) => Lookup::Found(value),
            Ok(None) => Lookup::Absent,
            Err(error) => Lookup::Unknown(ApiError(error).to_string()),
        }
    }
}
