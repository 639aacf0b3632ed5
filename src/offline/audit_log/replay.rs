//! Judges the status writes among the events of a log. Each is mutated as by the mutating webhook, then validated as by
//! the validating webhook, at the time of the request and as its user.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::event::{AuditEvent, ObjectRef, ResponseObject, text};
use super::old_objects::{OLD_OBJECT_MAX_BYTES, OldObject, OldObjects};
use super::{LogEvent, read_object};
use crate::admission::review::Operation;
use crate::admission::user::User;
use crate::admission::{ReviewSettings, is_mutated, parts};
use crate::engine::{Change, Findings, Mutated, Part, mutate, validate};
use crate::offline::managed_fields::ManagedFields;
use crate::report::Origin;
use crate::report::replay::{LogPosition, NotReplayed, ReplayReport, ReplayedWrite, Tallied, Unread, tally};
use crate::rules::RULES;
use crate::scan::reader::same::is_same_json;
use crate::scan::{Kind, Member, Object as _, Reader, Scan};

/// The events of a replay, in their order.
pub struct Replay {
    settings: ReviewSettings,
    old_objects: OldObjects,
    /// The kinds of which a write of the status subresource was seen. No other write can change their status.
    with_subresource: Vec<Kind>,
    /// The writes of whole scans that could not be replayed, by the name of the kind. They matter only for a kind without
    /// a status subresource.
    doubtful: BTreeMap<(&'static str, NotReplayed), Tallied>,
}

/// A write of a scan that succeeded, and its event.
#[derive(Clone, Copy)]
struct ScanWrite<'e> {
    event: &'e AuditEvent<'e>,
    at: LogPosition<'e>,
    kind: Kind,
    object_ref: &'e ObjectRef<'e>,
    is_create: bool,
    is_status: bool,
    /// Whether earlier events come later. Then the old object may not be the one that the write has replaced.
    is_early: bool,
}

impl Replay {
    pub fn new(settings: ReviewSettings, old_objects_max_bytes: usize) -> Self {
        let old_objects = OldObjects::new(old_objects_max_bytes);
        Self { settings, old_objects, with_subresource: Vec::new(), doubtful: BTreeMap::new() }
    }

    /// Replays an event that names the group of scans.
    pub fn event(&mut self, log_event: &LogEvent<'_>, report: &mut ReplayReport) {
        let at = log_event.at;
        let Some(event) = std::str::from_utf8(log_event.bytes).ok().and_then(read_object::<AuditEvent<'_>>) else {
            report.unread(if log_event.is_ended { Unread::Malformed } else { Unread::Cut }, &at);
            return;
        };
        report.counts.events += 1;
        let Some((kind, object_ref)) = event.scan_ref() else { return };
        match text(&event.stage) {
            "ResponseComplete" => {}
            "Panic" => return report.counts.panics += 1,
            _ => return,
        }
        match text(&event.verb) {
            verb @ ("create" | "update" | "patch") => {
                let is_status = match object_ref.subresource.string() {
                    Member::Absent => false,
                    Member::Present("status") => true,
                    _ => return,
                };
                // A server-side apply is a patch, also if it creates the scan.
                let is_create = verb == "create" || event.code() == Some(201);
                let is_early = log_event.is_early;
                self.write(ScanWrite { event: &event, at, kind, object_ref, is_create, is_status, is_early }, report);
            }
            "delete" => self.forget_deleted(&event, kind, object_ref),
            "get" | "list" => self.remember_read(&event, kind, object_ref),
            _ => {}
        }
    }

    /// Adds the counts that are known only at the end of the log to the report.
    pub fn finish(self, report: &mut ReplayReport) {
        report.counts.evicted = self.old_objects.evicted;
        for ((kind, reason), events) in self.doubtful {
            if !self.with_subresource.iter().any(|known| known.name() == kind) {
                report.all_not_replayed(reason, events);
            }
        }
    }

    fn write(&mut self, write: ScanWrite<'_>, report: &mut ReplayReport) {
        let ScanWrite { event, kind, is_status, .. } = write;
        if event.is_dry_run() {
            return report.counts.dry_runs += 1;
        }
        if event.code().is_some_and(|code| code >= 300) {
            return report.counts.failed += 1;
        }
        if is_status && !self.with_subresource.contains(&kind) {
            self.with_subresource.push(kind);
        }
        match (event.code(), event.request_received_timestamp(), event.response_scan(kind)) {
            (Some(_), Some(received), Some(object)) => self.judge_stored_write(&write, received, object, report),
            _ => self.record_lost_write(&write, report),
        }
    }

    /// Whether a write can have changed the status.
    fn can_change_status(&self, write: &ScanWrite<'_>) -> bool {
        write.is_status || !self.with_subresource.contains(&write.kind)
    }

    /// Reports a write whose object or time is not in the log. The old object is unknown from then on.
    fn record_lost_write(&mut self, write: &ScanWrite<'_>, report: &mut ReplayReport) {
        let reason = reason(write.event);
        if write.is_status {
            report.not_replayed(reason, &write.at);
        } else {
            tally(&mut self.doubtful, (write.kind.name(), reason), &write.at);
        }
        if self.can_change_status(write) {
            self.old_objects.remove(&key(write.kind, write.object_ref, None));
        }
    }

    /// Judges the object that a write has stored, if the write can have changed the status, and keeps it.
    fn judge_stored_write(
        &mut self,
        write: &ScanWrite<'_>,
        received: OffsetDateTime,
        object: &ResponseObject<'_>,
        report: &mut ReplayReport,
    ) {
        let ScanWrite { event, at, kind, object_ref, is_create, is_status, .. } = *write;
        let new = &object.scan;
        let done = event.stage_timestamp().unwrap_or(received);
        let old_object = self.replaced_object(write, received, done, object);
        let mut old = old_object.as_ref().and_then(|old| read_object::<ResponseObject<'_>>(&old.json));
        if let Some(old) = old.as_mut().filter(|_| is_status) {
            // A write of the status changes nothing else, and the log may lack a write that did.
            old.scan.metadata = new.metadata.clone();
            old.scan.spec = new.spec.clone();
            old.spec_json = object.spec_json;
        }
        let has_status = !matches!(new.status, Member::Absent);
        let is_status_write = match &old {
            _ if is_status => true,
            _ if is_create => has_status,
            Some(old) if !self.can_change_status(write) || new.has_same_status(&old.scan) => false,
            Some(old) if has_same_generation(&old.scan, new) => {
                tally(&mut self.doubtful, (kind.name(), NotReplayed::UnrecordedWrite), &at);
                false
            }
            Some(_) => true,
            None => {
                if has_status {
                    tally(&mut self.doubtful, (kind.name(), NotReplayed::NoOldObject), &at);
                }
                false
            }
        };
        if is_status_write {
            self.judge(write, received, object, old.as_ref(), report);
        }
        // They may be long, and so may be the copy of the new object.
        drop(old);
        drop(old_object);
        self.remember(kind, object_ref, object, done);
    }

    /// Returns the object that a write has replaced, if the log has it. The write was done at `done`.
    fn replaced_object(
        &self,
        write: &ScanWrite<'_>,
        received: OffsetDateTime,
        done: OffsetDateTime,
        new: &ResponseObject<'_>,
    ) -> Option<OldObject> {
        if write.is_create || write.is_early {
            return None;
        }
        let old = self.old_objects.get(&key(write.kind, write.object_ref, Some(new)))?;
        is_older(&old, new, received, done).then_some(old)
    }

    /// Judges a status write as both webhooks do.
    fn judge(
        &self,
        write: &ScanWrite<'_>,
        received: OffsetDateTime,
        object: &ResponseObject<'_>,
        old: Option<&ResponseObject<'_>>,
        report: &mut ReplayReport,
    ) {
        let ScanWrite { event, at, kind, object_ref, is_create, is_status, .. } = *write;
        let [namespace, name] = names(object_ref, Some(object));
        let user = event.user().map(User::name).unwrap_or_default();
        let groups = event.user().filter(|_| self.settings.needs_groups()).map(User::groups).unwrap_or_default();
        let modes = self.settings.modes(namespace, user, &groups);
        let writers = &self.settings.status_writers;
        let change = |new| {
            Change::new(kind, new, old.map(|old| &old.scan), received).with_user(user, writers).with_modes(&modes)
        };
        let sent = change(&object.scan);
        let mutated = if is_status && is_mutated(&sent) { mutate(RULES, &sent) } else { Mutated::default() };
        let stored = change(mutated.scan.as_ref().unwrap_or(&object.scan));
        let operation = if is_create { Operation::Create } else { Operation::Update };
        let mut findings = Findings::default();
        let at_creation = is_create.then_some(Part::Create);
        for part in at_creation.into_iter().chain(parts(operation, is_status, &stored)) {
            validate(RULES, part, &stored, &mut findings);
        }
        // An update that changes the spec, too, increments the generation in any case. Another write may have changed the
        // status.
        let is_surely_replaced = |old: &ResponseObject<'_>| is_same_json(old.spec_json, object.spec_json);
        let write = ReplayedWrite {
            at,
            audit_id: text(&event.audit_id),
            kind,
            namespace,
            name,
            user,
            time: received,
            is_upper_bound: !is_create && !old.is_some_and(is_surely_replaced),
        };
        report.write(&write, &mutated.operations, &findings);
        count_origins(event, received, object, &findings, report);
    }

    /// Keeps the scan of a response as the old object of the next write.
    fn remember(&mut self, kind: Kind, object_ref: &ObjectRef<'_>, object: &ResponseObject<'_>, done: OffsetDateTime) {
        let key = key(kind, object_ref, Some(object));
        if object.spec_json.len() + object.scan.status_json.len() > OLD_OBJECT_MAX_BYTES {
            return self.old_objects.remove(&key);
        }
        let old_object = OldObject {
            json: judged_json(object).into(),
            uid: text(&object.metadata.uid).into(),
            resource_version: object.resource_version(),
            stage_timestamp: done,
        };
        self.old_objects.insert(&key, old_object);
    }

    /// Keeps the scans that were read.
    fn remember_read(&mut self, event: &AuditEvent<'_>, kind: Kind, object_ref: &ObjectRef<'_>) {
        let (Some(200..300), Some(done)) = (event.code(), event.stage_timestamp()) else { return };
        if let Some(object) = event.response_scan(kind) {
            self.remember(kind, object_ref, object, done);
        }
        // This cannot fail, since the list was read before.
        let _ = Reader::new(event.response_items(kind).unwrap_or("[]")).list(|item| {
            if item.peek() != b'{' {
                return item.skip();
            }
            let mut object = ResponseObject::default();
            object.fill(item)?;
            if object.kind.is_absent() || object.kind.is_text(kind.name()) {
                self.remember(kind, object_ref, &object, done);
            }
            Ok(())
        });
    }

    /// Drops a scan that was deleted. A scan with finalizers is in the response, and exists until they are removed.
    fn forget_deleted(&mut self, event: &AuditEvent<'_>, kind: Kind, object_ref: &ObjectRef<'_>) {
        if event.is_dry_run() || event.code().is_none_or(|code| code >= 300) {
            return;
        }
        if let (Some(object), Some(done)) = (event.response_scan(kind), event.stage_timestamp()) {
            return self.remember(kind, object_ref, object, done);
        }
        let key = key(kind, object_ref, None);
        let is_deleted = |old: OldObject| event.deleted_uid().is_none_or(|uid| *old.uid == *uid);
        if self.old_objects.get(&key).is_some_and(is_deleted) {
            self.old_objects.remove(&key);
        }
    }
}

/// Counts the findings in a write by their origins. The manager of a field is that of the managedFields in the response. If the
/// log has none, as with `omitManagedFields` in the audit policy, it is the manager of the write.
fn count_origins(
    event: &AuditEvent<'_>,
    received: OffsetDateTime,
    object: &ResponseObject<'_>,
    findings: &Findings<'_>,
    report: &mut ReplayReport,
) {
    if findings.list().is_empty() {
        return;
    }
    let managers = ManagedFields::read(object.metadata.managed_fields);
    let template = object.scan.spec.present().map(|spec| text(&spec.scan_template)).unwrap_or_default();
    for finding in findings.list() {
        let writer = managers.writer(&finding.field.to_string());
        let (manager, written) = match writer {
            Some(writer) => (writer.manager.to_owned(), writer.time.unwrap_or(received)),
            None => (event.field_manager(), received),
        };
        report.origins.count(&Origin { template: template.to_owned(), manager, written: Some(written) });
    }
}

/// Returns why a write without its object or its time is not judged.
fn reason(event: &AuditEvent<'_>) -> NotReplayed {
    match text(&event.level) {
        _ if event.is_truncated() => NotReplayed::Truncated,
        "Metadata" => NotReplayed::LevelMetadata,
        "Request" => NotReplayed::LevelRequest,
        _ if event.code().is_none() || event.request_received_timestamp().is_none() => NotReplayed::Incomplete,
        _ => NotReplayed::NoResponseObject,
    }
}

/// Returns whether the old object was stored when a write was done whose result is `new`. A read that ended during the
/// write may have seen its result.
fn is_older(old: &OldObject, new: &ResponseObject<'_>, received: OffsetDateTime, done: OffsetDateTime) -> bool {
    *old.uid == *text(&new.metadata.uid)
        && match (old.resource_version, new.resource_version()) {
            (Some(old_version), Some(new_version)) if old_version != new_version => old_version < new_version,
            (Some(_), Some(_)) => old.stage_timestamp <= received,
            _ => old.stage_timestamp <= done,
        }
}

/// Returns whether both scans have the same generation. A write of a whole scan that changes the status increments it if
/// the kind has no status subresource. With the subresource, a write of the spec increments it.
fn has_same_generation(old: &Scan<'_>, new: &Scan<'_>) -> bool {
    let generation = |scan: &Scan<'_>| scan.metadata.present().and_then(|found| found.generation.integer().value());
    generation(old).is_some() && generation(old) == generation(new)
}

/// Returns the namespace and the name of a scan. The request for a new scan may have no name.
fn names<'o>(object_ref: &'o ObjectRef<'_>, object: Option<&'o ResponseObject<'_>>) -> [&'o str; 2] {
    let or_ref = |name: &'o str, other: &'o str| if name.is_empty() { other } else { name };
    let names =
        object.map(|object| [text(&object.metadata.namespace), text(&object.metadata.name)]).unwrap_or_default();
    [or_ref(names[0], text(&object_ref.namespace)), or_ref(names[1], text(&object_ref.name))]
}

/// Returns the key of a scan among the old objects.
fn key(kind: Kind, object_ref: &ObjectRef<'_>, object: Option<&ResponseObject<'_>>) -> String {
    let [namespace, name] = names(object_ref, object);
    [kind.plural(), namespace, name].join("/")
}

/// Returns the JSON of the parts of a scan that rules read.
fn judged_json(object: &ResponseObject<'_>) -> String {
    let texts = [("spec", object.spec_json), ("status", object.scan.status_json)];
    let mut json = String::with_capacity(256 + texts.iter().map(|(_, text)| text.len()).sum::<usize>());
    json += "{\"metadata\":{";
    if let Some(metadata) = object.scan.metadata.present() {
        json += &format!(
            "\"generation\":{},\"deletionTimestamp\":{}",
            metadata.generation.to_json(),
            metadata.deletion_timestamp.to_json()
        );
    }
    json += "}";
    for (name, text) in texts.iter().filter(|(_, text)| !text.is_empty()) {
        for part in [",\"", name, "\":", text] {
            json += part;
        }
    }
    json + "}"
}
