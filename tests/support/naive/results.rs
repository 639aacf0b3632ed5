//! §3: `metadata-url`, `scanned-by` and `scanned-at`.

use super::read::{Read, seconds, text, time};
use super::{Judge, Place, as_read};

const NAMES: [&str; 3] = ["name", "vendor", "version"];

/// Whether a URL is "an absolute http(s) URL with a host".
pub fn is_web(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let host = host.split(':').next().unwrap_or_default();
    ["http", "https"].contains(&scheme.to_lowercase().as_str()) && !host.is_empty() && !url.contains(' ')
}

impl Judge<'_> {
    pub fn metadata_url(&mut self) {
        let status = self.new.status;
        let sending = self.new.current("SendingResults");
        let mut is_set = false;
        for field in ["metadataUrl", "metadataURL"] {
            let url = text(&status[field]);
            is_set |= !url.is_absent();
            if !url.is_absent() && !url.there().is_some_and(is_web) {
                self.error("metadata-url", Place::Field(field), "", &[as_read(&status[field])]);
            }
        }
        self.warn_if("metadata-url", is_set && sending == Some("False"));
        self.warn_if("metadata-url", !is_set && sending == Some("True"));
    }

    pub fn scanned_by(&mut self) {
        let by = &self.new.status["scannedBy"];
        let rule = "scanned-by";
        if !by.is_null() && !by.is_object() {
            return self.error(rule, Place::Field("scannedBy"), "", std::slice::from_ref(by));
        }
        let scanner = &by["scanner"];
        if !scanner.is_null() && !scanner.is_object() {
            self.error(rule, Place::Field("scanner"), "", std::slice::from_ref(scanner));
        }
        for (object, part) in [(by, "flat"), (scanner, "scanner")] {
            for name in NAMES.iter().filter(|name| text(&object[**name]).is_wrong()) {
                self.error(rule, Place::Member("scannedBy", part, name), "", std::slice::from_ref(&object[*name]));
            }
        }
        let is_there = |name: &str| [by, scanner].iter().any(|object| !text(&object[name]).is_absent());
        let is_whole = is_there("name") && is_there("version");
        let is_done = self.new.is_on(&["Completed", "Failed"]);
        self.warn_if(rule, is_done && !is_whole && (scanner.is_null() || scanner.is_object()));
    }

    pub fn scanned_at(&mut self) {
        let rule = "scanned-at";
        let value = &self.new.status["scannedAt"];
        let at = match time(value) {
            Read::Wrong => return self.error(rule, Place::Field("scannedAt"), "", &[as_read(value)]),
            Read::Absent => return self.warn_if(rule, self.new.is_on(&["Completed", "Failed"])),
            Read::Is(at) => at,
        };
        self.warn_if(rule, at > self.now + seconds(300));
        let Some(old) = &self.old else { return };
        let was = time(&old.status["scannedAt"]);
        let is_earlier = was.there().is_some_and(|was| at < was && was <= self.now);
        let is_changed = was != Read::Is(at);
        let u = self.new.current("Succeeded");
        self.warn_if(rule, is_earlier);
        self.warn_if(rule, is_changed && self.new.is_on(&["Pending"]));
        self.warn_if(rule, is_changed && self.new.is_on(&["Scanning"]) && u != Some("True"));
        self.warn_if(rule, is_changed && u == Some("False"));
    }
}
