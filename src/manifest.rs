//! Documents of YAML and JSON, with positions: cut from a stream, read as the API server would see them, and searched for
//! the fields that findings name.

pub mod documents;
pub mod encoding;
pub mod objects;
pub mod path;
pub mod position;
pub mod stream;
pub mod yaml;

pub use documents::{Document, Documents};
pub use objects::{FoundObject, Manifest, ManifestError, ScanManifest};
pub use position::Position;
pub use stream::Values;
