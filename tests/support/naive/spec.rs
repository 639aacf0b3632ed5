//! §3: `scan-target` and `scan-template`.

use super::artifacts::image;
use super::read::text;
use super::results::is_web;
use super::{Field, Judge};

impl Judge<'_> {
    pub fn spec_rules(&mut self, is_image: bool) {
        let spec = self.new.spec;
        let rule = "scan-target";
        self.warn_if("scan-template", text(&spec["scanTemplate"]).is_absent());
        let registry = text(&spec["registry"]["image"]);
        let [blob, git] = ["blob", "git"].map(|source| text(&spec[source]["url"]));
        if is_image && registry.is_absent() {
            self.error(rule, "spec/registry/image", "", vec![]);
        }
        if !is_image && blob.is_absent() && git.is_absent() {
            self.error(rule, "spec/blob/url", "", vec![Field::Path("spec/git/url".to_owned())]);
        }
        // "A url or image of a wrong type in the spec is one that does not parse."
        self.warn_if(rule, blob.is_wrong() || blob.there().is_some_and(|url| !is_web(url)));
        self.warn_if(rule, registry.is_wrong() || registry.there().is_some_and(|text| image(text).is_none()));
    }
}
