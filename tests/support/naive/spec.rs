//! §3: `scan-target` and `scan-template`.

use serde_json::json;

use super::artifacts::image;
use super::read::{Read, text};
use super::results::is_web;
use super::{Judge, Place};

impl Judge<'_> {
    pub fn spec_rules(&mut self, is_image: bool) {
        let spec = self.new.spec;
        let rule = "scan-target";
        self.warn_if("scan-template", text(&spec["scanTemplate"]).is_absent());
        if is_image {
            match text(&spec["registry"]["image"]) {
                Read::Absent => self.error(rule, Place::Field("registry.image"), "", &[json!(null)]),
                // "A url or image of a wrong type in the spec is one that does not parse."
                Read::Wrong => self.warning(rule),
                Read::Is(text) => self.warn_if(rule, image(text).is_none()),
            }
            return;
        }
        let [blob, git] = ["blob", "git"].map(|source| text(&spec[source]["url"]));
        if blob.is_absent() && git.is_absent() {
            self.error(rule, Place::Field("blob.url"), "", &[json!(null)]);
        }
        self.warn_if(rule, blob.is_wrong() || blob.there().is_some_and(|url| !is_web(url)));
    }
}
