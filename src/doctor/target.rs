//! The targets of calls: a Service with its endpoints, or a URL.

use std::fmt;

use k8s_openapi::api::admissionregistration::v1::{ServiceReference, WebhookClientConfig};
use k8s_openapi::api::core::v1::Service;
use k8s_openapi::api::discovery::v1::{self as discovery, EndpointSlice};

use super::lookup::Lookup;
use crate::cluster::ca_bundle::CalledAddress;

/// The address that webhooks call, and the Service behind it.
#[derive(Debug, Clone)]
pub struct CallTarget {
    pub address: CalledAddress,
    pub backend: Backend,
}

/// The kind of a target.
#[derive(Debug, Clone)]
pub enum Backend {
    Service { reference: ServiceReference, service: Lookup<Box<Service>>, slices: Lookup<Vec<EndpointSlice>> },
    Url,
}

/// An address to which the API server sends requests. It is that of a replica, unless the installation is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    pub address: String,
    pub port: u16,
    pub pod: Option<String>,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.authority())?;
        self.pod.as_ref().map_or(Ok(()), |pod| write!(out, " (pod {pod})"))
    }
}

impl Endpoint {
    /// Returns address and port, as in a URL.
    pub fn authority(&self) -> String {
        let Self { address, port, .. } = self;
        if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
    }
}

impl CallTarget {
    /// Returns the endpoints that requests may be sent to: the ready ones.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let one = |address: &str| vec![Endpoint { address: address.to_owned(), port: self.address.port, pod: None }];
        let Backend::Service { service, slices, .. } = &self.backend else { return one(&self.address.host) };
        let Some(spec) = service.found().and_then(|service| service.spec.as_ref()) else { return Vec::new() };
        // The API server resolves the external name itself, and calls the port without mapping it.
        if let Some(name) = spec.external_name.as_ref().filter(|_| spec.type_.as_deref() == Some("ExternalName")) {
            return one(name);
        }
        let is_called = |port: &i32| *port == i32::from(self.address.port);
        let Some(port) = spec.ports.iter().flatten().find(|port| is_called(&port.port)) else { return Vec::new() };
        let name = port.name.as_deref();
        let mut endpoints: Vec<_> = slices.found().into_iter().flatten().flat_map(|slice| ready(slice, name)).collect();
        endpoints.sort();
        endpoints.dedup();
        endpoints
    }
}

/// Returns the ready endpoints of a slice, with its port of this name.
fn ready(slice: &EndpointSlice, name: Option<&str>) -> Vec<Endpoint> {
    let is_it = |port: &&discovery::EndpointPort| port.name.as_deref().unwrap_or_default() == name.unwrap_or_default();
    let port = slice.ports.iter().flatten().find(is_it).and_then(|port| port.port?.try_into().ok());
    let Some(port) = port else { return Vec::new() };
    let is_ready =
        |one: &&discovery::Endpoint| one.conditions.as_ref().is_none_or(|conditions| conditions.ready != Some(false));
    let endpoints = slice.endpoints.iter().filter(is_ready).filter_map(|one| {
        let pod = one.target_ref.as_ref().and_then(|target| target.name.clone());
        Some(Endpoint { address: one.addresses.first()?.clone(), port, pod })
    });
    endpoints.collect()
}

/// Returns the path that a webhook is called at.
pub fn path(config: &WebhookClientConfig) -> Option<String> {
    if let Some(service) = &config.service {
        return Some(service.path.clone().unwrap_or_else(|| "/".to_owned()));
    }
    let url: axum::http::Uri = config.url.as_ref()?.parse().ok()?;
    Some(url.path().to_owned())
}
