//! Reads the configuration of the replicas from the ConfigMap that the Deployment mounts.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Container, PodSpec};
use kube::Client;
use kube::api::Api;

use super::lookup::Lookup;
use crate::admission::ReviewSettings;
use crate::config::Config;

/// Returns the settings of the replicas, which are the defaults if the Deployment has no configuration; `Absent` if there is
/// no Deployment.
pub async fn settings(
    client: &Client,
    namespace: &str,
    deployment: &Lookup<Box<Deployment>>,
) -> Lookup<Box<ReviewSettings>> {
    let deployment = match deployment {
        Lookup::Found(deployment) => deployment,
        Lookup::Absent => return Lookup::Absent,
        Lookup::Unknown(why) => return Lookup::Unknown(why.clone()),
    };
    let pod = deployment.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let Some((pod, container, path)) = pod.and_then(|pod| {
        pod.containers.iter().find_map(|container| Some((pod, container, argument(container, "--config")?)))
    }) else {
        return Lookup::Found(Box::default());
    };
    let Some(MountedKey { config_map, key }) = mounted_key(pod, container, path) else {
        return Lookup::Unknown(format!("the file of --config={path} is not mounted from a ConfigMap"));
    };
    let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let found = match Lookup::of(config_maps.get_opt(&config_map).await) {
        Lookup::Found(found) => found,
        Lookup::Absent => return Lookup::Unknown(format!("the ConfigMap {config_map} does not exist")),
        Lookup::Unknown(why) => return Lookup::Unknown(why),
    };
    match found.data.as_ref().and_then(|data| data.get(&key)).map(|text| Config::read(text.as_bytes())) {
        Some(Ok(config)) => Lookup::Found(Box::new(config.settings)),
        Some(Err(error)) => Lookup::Unknown(format!("{key} of the ConfigMap {config_map} {error}")),
        None => Lookup::Unknown(format!("the ConfigMap {config_map} has no key {key}")),
    }
}

/// Returns the value of a flag in the arguments of a container.
pub fn argument<'c>(container: &'c Container, flag: &str) -> Option<&'c str> {
    let arguments = container.args.as_deref().unwrap_or_default();
    let joined = arguments.iter().find_map(|argument| argument.strip_prefix(flag)?.strip_prefix('='));
    joined.or_else(|| Some(arguments.iter().skip_while(|argument| *argument != flag).nth(1)?.as_str()))
}

/// The ConfigMap and the key that a file is mounted from.
struct MountedKey {
    config_map: String,
    key: String,
}

/// Returns the key that the file at `path` of a container is mounted from; `None` if it is not from a ConfigMap.
fn mounted_key(pod: &PodSpec, container: &Container, path: &str) -> Option<MountedKey> {
    let mounts = container.volume_mounts.iter().flatten();
    let inside = mounts.filter_map(|mount| Some((mount, path.strip_prefix(mount.mount_path.trim_end_matches('/'))?)));
    let (mount, rest) =
        inside.filter(|(_, rest)| rest.is_empty() || rest.starts_with('/')).min_by_key(|(_, rest)| rest.len())?;
    let rest = rest.trim_start_matches('/');
    let rest = mount.sub_path.as_deref().filter(|_| rest.is_empty()).unwrap_or(rest);
    let volume = pod.volumes.iter().flatten().find(|volume| volume.name == mount.name)?.config_map.as_ref()?;
    let item = volume.items.iter().flatten().find(|item| item.path == rest);
    let key = item.map_or_else(|| rest.to_owned(), |item| item.key.clone());
    Some(MountedKey { config_map: volume.name.clone(), key })
}
