//! What the page asks: the texts of its editors, and the settings beside them.

use std::borrow::Cow;
use std::collections::BTreeMap;

use scan_admission::admission::ReviewSettings;
use scan_admission::engine::{Mode, RuleMode};
use scan_admission::rules::RULES;
use serde::{Deserialize, Serialize};

/// The texts and the settings of the page.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// A scan or an AdmissionReview, in YAML or JSON.
    #[serde(borrow)]
    pub text: Cow<'a, str>,
    /// The old object, in YAML or JSON; may be empty.
    #[serde(borrow)]
    pub old: Cow<'a, str>,
    pub write: Write,
    /// The time at which to judge (RFC 3339).
    pub now: String,
    /// The user who writes.
    pub user: String,
    pub status_writers: Vec<String>,
    /// The modes by rule. A rule that is not named is in mode `deny`.
    pub modes: BTreeMap<String, Mode>,
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Write {
    /// The spec and the status of a scan in a file, without a write.
    File,
    /// An update of the status.
    Status,
    /// An update of the scan itself. The API server leaves its status as it was.
    Scan,
    /// A creation. The API server drops the status.
    Create,
}

impl Request<'_> {
    pub fn settings(&self) -> ReviewSettings {
        let mode = |(id, mode): (&String, &Mode)| {
            let rule = RULES.iter().find(|rule| rule.id == id)?;
            Some(RuleMode { rule: rule.id, mode: *mode })
        };
        let modes = self.modes.iter().filter_map(mode).collect();
        ReviewSettings { modes, status_writers: self.status_writers.clone(), ..ReviewSettings::default() }
    }
}
