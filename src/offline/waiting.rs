//! Whether a stored scan waits for its controller, and since when.

use time::OffsetDateTime;

use super::stored::StoredScan;
use crate::scan::Phase;

/// Returns since when a scan has waited; `None` if its controller has nothing left to do.
///
/// A scan waits while it has no phase, or while the phase is Pending or Scanning. It also waits while
/// `status.observedGeneration` is behind `metadata.generation`. It has waited since the last of: its creation, the last
/// transition of a condition, and, while the generation is behind, the last write of the spec.
pub fn waiting_since(stored: &StoredScan<'_>) -> Option<OffsetDateTime> {
    let status = stored.scan.status();
    let phase = status.map(|status| status.phase.string().value());
    let is_unfinished = match phase {
        None | Some(None) => true,
        Some(Some(name)) => matches!(Phase::parse(name), Some(Phase::Pending | Phase::Scanning)),
    };
    let observed = status.and_then(|status| status.observed_generation.integer().value());
    let is_behind = observed.zip(stored.scan.generation()).is_some_and(|(observed, generation)| observed < generation);
    if !is_unfinished && !is_behind {
        return None;
    }
    let written = if is_behind { stored.metadata.managed_fields().spec_written() } else { None };
    [last_changed(stored), written].into_iter().flatten().max()
}

/// Returns when the status of a scan changed last: the last transition of a condition, or the creation of the scan.
pub fn last_changed(stored: &StoredScan<'_>) -> Option<OffsetDateTime> {
    let conditions = stored.scan.status().map(|status| status.conditions()).unwrap_or_default();
    let transitions = conditions.iter().filter_map(|entry| entry.present()?.last_transition_time());
    transitions.chain(stored.metadata.created()).max()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use time::format_description::well_known::Rfc3339;

    use super::*;
    use crate::scan::Kind;

    fn since(status: Value) -> Option<String> {
        let scan = json!({
            "metadata": {
                "name": "a", "creationTimestamp": "2026-11-20T08:00:00Z", "generation": 2,
                "managedFields": [
                    {"manager": "kubectl", "time": "2026-11-20T09:00:00Z", "fieldsV1": {"f:spec": {"f:scanTemplate": {}}}},
                    {"manager": "controller", "time": "2026-11-20T10:00:00Z", "fieldsV1": {"f:status": {"f:phase": {}}}},
                ],
            },
            "status": status,
        });
        let json = scan.to_string();
        let since = waiting_since(&StoredScan::read(Kind::SourceScan, &json).unwrap())?;
        Some(since.format(&Rfc3339).unwrap())
    }

    #[test]
    fn a_scan_waits_until_its_controller_has_finished() {
        let at = |time: &str| json!([{"type": "Scanning", "status": "True", "lastTransitionTime": time}]);
        for (status, expected) in [
            (json!(null), Some("2026-11-20T08:00:00Z")),
            (json!({}), Some("2026-11-20T08:00:00Z")),
            (json!({"phase": "Pending"}), Some("2026-11-20T08:00:00Z")),
            (json!({"phase": "Scanning", "conditions": at("2026-11-20T08:30:00Z")}), Some("2026-11-20T08:30:00Z")),
            (json!({"phase": "Scanning", "conditions": at("soon")}), Some("2026-11-20T08:00:00Z")),
            // The generation is behind since the spec was written, which is after the last transition.
            (json!({"phase": "Completed", "observedGeneration": 1}), Some("2026-11-20T09:00:00Z")),
            (json!({"phase": "Completed", "observedGeneration": 2}), None),
            (json!({"phase": "Completed"}), None),
            (json!({"phase": "Error"}), None),
            // Not a phase that waits: it is an error of its own.
            (json!({"phase": "Done"}), None),
        ] {
            assert_eq!(since(status.clone()).as_deref(), expected, "{status}");
        }
    }
}
