//! Watches a collection of objects: lists them, and then receives each change.
//!
//! The list is a streaming list where the API server has them, and is read page by page elsewhere. An object is passed
//! on as JSON and dropped, so memory does not grow with the number of objects.
//!
//! `kube::runtime::watcher` does the same, but it hides bookmarks. Without them nobody can tell a collection in which
//! nothing changes from a watch that receives nothing.

use std::pin::pin;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use kube::api::{ListParams, Request, WatchEvent, WatchParams};
use kube::runtime::watcher::DefaultBackoff;
use kube::{Client, Error};
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep};

use super::error::ApiError;
use super::listing::Pages;

/// The annotation of the bookmark that ends a streaming list.
const LIST_END: &str = "k8s.io/initial-events-end";

/// A watch that ends sooner, without having received anything, has failed. The API server ends one after 290 s, the
/// timeout that the request names.
const SHORT: Duration = Duration::from_secs(1);

/// What a watch has received.
pub enum WatchedEvent<'a> {
    /// A list begins.
    ListStarted,
    /// An object that is stored: one of a list, or a new or changed one.
    Stored(&'a RawValue),
    Deleted(&'a RawValue),
    /// The list is complete. An object that it did not have is no longer stored.
    ListEnded,
    /// Every change up to now has been received.
    Current,
    /// The watch failed, and will be tried again.
    Failed(WatchError),
}

/// Why a watch failed.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    #[error("{0}")]
    Api(ApiError),
    #[error("the API server no longer has the changes since the last one; listing again")]
    Expired,
    #[error("the list took longer than the API server keeps it; listing again")]
    SlowList,
    #[error("the API server ended the list before it was complete")]
    PartOfList,
    #[error("the API server ends each watch at once")]
    Short,
}

impl From<Error> for WatchError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(status) if status.code == 410 => Self::Expired,
            error => Self::Api(ApiError(error)),
        }
    }
}

/// A watch of the objects at a path of the API.
pub struct ResourceWatch {
    client: Client,
    path: String,
    labels: Option<String>,
    /// Where the watch continues; `None` if the objects have to be listed.
    resource_version: Option<String>,
    /// Whether the API server has streaming lists, as far as is known.
    has_streaming_lists: bool,
}

#[derive(Deserialize)]
struct VersionedObject {
    metadata: ObjectVersion,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectVersion {
    resource_version: String,
}

impl ResourceWatch {
    /// Watches the objects at a path such as `/apis/GROUP/VERSION/PLURAL`, with these labels.
    pub fn new(client: Client, path: String, labels: Option<&str>) -> Self {
        let labels = labels.map(str::to_owned);
        Self { client, path, labels, resource_version: None, has_streaming_lists: true }
    }

    /// Passes each event to `handle`. Never returns.
    pub async fn run(mut self, mut handle: impl FnMut(WatchedEvent<'_>)) {
        let mut backoff = DefaultBackoff::default();
        loop {
            let error = match self.round(&mut handle).await {
                Ok(()) => continue,
                Err(error) => error,
            };
            match error {
                WatchError::Expired | WatchError::SlowList => self.resource_version = None,
                // A list that takes longer than a watch may last is read page by page.
                WatchError::PartOfList => self.has_streaming_lists = false,
                _ => {}
            }
            handle(WatchedEvent::Failed(error));
            sleep(backoff.next().unwrap_or(SHORT)).await;
        }
    }

    /// Lists the objects, or receives changes until the API server ends the watch.
    async fn round(&mut self, handle: &mut impl FnMut(WatchedEvent<'_>)) -> Result<(), WatchError> {
        match self.resource_version.clone() {
            None if !self.has_streaming_lists => self.list(handle).await,
            version => self.watch(version, handle).await,
        }
    }

    /// Lists the objects page by page.
    async fn list(&mut self, handle: &mut impl FnMut(WatchedEvent<'_>)) -> Result<(), WatchError> {
        handle(WatchedEvent::ListStarted);
        let params = ListParams { label_selector: self.labels.clone(), ..ListParams::default() };
        let mut pages = Pages::new(self.client.clone(), self.path.clone(), params);
        let mut first: Option<String> = None;
        while let Some(page) = pages.next().await? {
            // A list whose token expired goes on with a newer version, and lacks the changes of its first pages.
            if *first.get_or_insert_with(|| page.resource_version.clone()) != page.resource_version {
                return Err(WatchError::SlowList);
            }
            page.items.iter().for_each(|object| handle(WatchedEvent::Stored(object)));
        }
        self.resource_version = first;
        handle(WatchedEvent::ListEnded);
        Ok(())
    }

    /// Receives the changes since a version. Without a version, the API server first sends every object.
    async fn watch(
        &mut self,
        since: Option<String>,
        handle: &mut impl FnMut(WatchedEvent<'_>),
    ) -> Result<(), WatchError> {
        let mut is_list = since.is_none();
        let params =
            WatchParams { label_selector: self.labels.clone(), send_initial_events: is_list, ..WatchParams::default() };
        let request =
            Request::new(&self.path).watch(&params, &since.unwrap_or_default()).map_err(Error::BuildRequest)?;
        let started = Instant::now();
        let events = match self.client.request_events::<Box<RawValue>>(request).await {
            // The feature is off. An API server that does not know the parameter is found below.
            Err(Error::Api(status)) if is_list && matches!(status.code, 400 | 422) => {
                self.has_streaming_lists = false;
                return Ok(());
            }
            events => events?,
        };
        let mut events = pin!(events);
        if is_list {
            handle(WatchedEvent::ListStarted);
        }
        let mut is_empty = true;
        while let Some(event) = events.try_next().await? {
            is_empty = false;
            let (object, is_stored) = match event {
                WatchEvent::Added(object) | WatchEvent::Modified(object) => (object, true),
                WatchEvent::Deleted(object) => (object, false),
                WatchEvent::Bookmark(bookmark) => {
                    if is_list && !bookmark.metadata.annotations.contains_key(LIST_END) {
                        self.has_streaming_lists = false;
                        return Ok(());
                    }
                    self.resource_version = Some(bookmark.metadata.resource_version);
                    handle(if is_list { WatchedEvent::ListEnded } else { WatchedEvent::Current });
                    is_list = false;
                    continue;
                }
                WatchEvent::Error(status) => return Err(Error::Api(status).into()),
            };
            handle(if is_stored { WatchedEvent::Stored(&object) } else { WatchedEvent::Deleted(&object) });
            if !is_list {
                let read: VersionedObject = serde_json::from_str(object.get()).map_err(Error::SerdeError)?;
                self.resource_version = Some(read.metadata.resource_version);
                handle(WatchedEvent::Current);
            }
        }
        match (is_list, is_empty && started.elapsed() < SHORT) {
            (true, _) => Err(WatchError::PartOfList),
            (false, true) => Err(WatchError::Short),
            (false, false) => Ok(()),
        }
    }
}
