//! YAML and JSON documents with positions: splits a stream into documents, reads them as the API server would, locates the
//! fields that findings name, and edits fields in place.

pub mod documents;
pub mod edit;
pub mod encoding;
mod head;
mod json;
mod kind;
pub mod objects;
pub mod path;
pub mod position;
#[cfg(test)]
pub(crate) mod slow_reader;
pub mod splice;
pub mod stream;
pub mod yaml;

pub use documents::{Document, Documents};
pub use edit::{EditError, FieldEdit, FieldToSet};
pub use head::{ScanManifest, ScanPart};
pub use objects::{FoundObject, Manifest, ManifestError};
pub use position::{Position, Region};
pub use splice::Edit;
pub use stream::Values;
