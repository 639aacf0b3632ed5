//! Tests server certificates that Go, and so the API server, accepts although webpki rejects them.

use std::fs;

use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
};

use crate::controlplane::{Namespace, User, eventually};
use crate::outage::register;
use crate::support::folder::Folder;
use crate::support::pki::{Ca, leaf};
use crate::support::process::Process;
use crate::support::program;
use crate::{Test, scan};

pub const TESTS: &[(&str, Test)] =
    &[("the-api-server-accepts-each-certificate-that-is-served", each_certificate_is_accepted)];

/// The host is 127.0.0.1, the address at which the API server calls the test's server.
fn params(change: fn(&mut CertificateParams)) -> CertificateParams {
    let mut params = leaf();
    params.subject_alt_names = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().subject_alt_names;
    change(&mut params);
    params
}

fn flag(params: &mut CertificateParams) {
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
}

type Change = fn(&mut CertificateParams);

/// A change of the certificate, and whether a CA signs it. Otherwise the certificate is self-signed and is in the
/// caBundle.
const CERTIFICATES: [(Change, bool); 7] = [
    (flag, false),
    (|_| {}, false),
    (flag, true),
    (
        |params| {
            flag(params);
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        },
        true,
    ),
    (|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any], true),
    (
        |params| {
            let usages = [ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
            params.extended_key_usages = usages.to_vec();
        },
        true,
    ),
    (
        |params| {
            let mut policies = CustomExtension::from_oid_content(&[2, 5, 29, 32], vec![0x30, 5, 0x30, 3, 6, 1, 0x2a]);
            policies.set_criticality(true);
            params.custom_extensions.push(policies);
        },
        true,
    ),
];

fn each_certificate_is_accepted(namespace: &Namespace<'_>) {
    namespace.kubectl(User::Developer).args(["create", "-f", "-"]).input(scan("one").to_string()).run().ok();
    for (change, is_signed) in CERTIFICATES {
        let (folder, ca, key) = (Folder::new(), Ca::new(), KeyPair::generate().unwrap());
        let params = params(change);
        let (certificate, trusted) = if is_signed {
            (ca.sign(&params, &key).certificate, ca.pem.clone())
        } else {
            let certificate = params.self_signed(&key).unwrap().pem();
            (certificate.clone(), certificate)
        };
        fs::write(folder.join("tls.crt"), &certificate).unwrap();
        fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
        let command = program::command(folder.path(), &["--tls-cert=tls.crt", "--tls-key=tls.key"]);
        let server = Process::start(command, folder.join("errors"));
        register(namespace, &server, trusted.as_bytes());
        eventually("a wrong status is denied", || {
            let patch = r#"{"status": {"phase": "Complete"}}"#;
            let patch = [
                "patch",
                "sourcescan",
                "one",
                "--subresource=status",
                "--type=merge",
                "--dry-run=server",
                "--patch",
                patch,
            ];
            let output = namespace.kubectl(User::ScanController).args(patch).run();
            // The write is allowed until the configuration takes effect.
            assert!(!output.stderr.contains("x509:"), "{params:?}: {}", output.stderr);
            output.stderr.contains("[phase-unknown]").then_some(())
        });
        for kind in ["validatingwebhookconfiguration", "mutatingwebhookconfiguration"] {
            namespace.cluster.kubectl(User::Admin).args(["delete", kind, &namespace.name]).run().ok();
        }
        let right = r#"{"status": {"phase": "Pending", "conditions": null}}"#;
        drop(server);
        eventually("the configuration is gone", || {
            let patch = [
                "patch",
                "sourcescan",
                "one",
                "--subresource=status",
                "--type=merge",
                "--dry-run=server",
                "--patch",
                right,
            ];
            (namespace.kubectl(User::ScanController).args(patch).run().code == Some(0)).then_some(())
        });
    }
}
