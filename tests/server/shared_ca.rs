//! Tests the shared CA without a network: what each step writes to the Secret, and replicas that act concurrently.

mod simulation;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use scan_admission::cluster::shared_ca::{Bundle, CaStep, CaTimes, ParsedCa, SharedCa};
use scan_admission::tls::ca::Ca;
use scan_admission::tls::{bundle, pem};
use simulation::{Act, Simulation};
use time::{Duration, OffsetDateTime};

const TIMES: CaTimes =
    CaTimes { ca: Duration::seconds(1200), leaf: Duration::seconds(300), settle: Duration::seconds(60) };

/// Returns the errors in the entries of a Secret, as the log has them.
fn damages(data: &Data, now: OffsetDateTime) -> Vec<String> {
    SharedCa::parse(data, now).damages.iter().map(ToString::to_string).collect()
}

type Data = BTreeMap<String, Vec<u8>>;

fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// Returns what the step writes, and the reason that it gives.
fn saved(data: &Data, carried: &[Bundle], now: OffsetDateTime) -> Option<(Data, &'static str)> {
    match SharedCa::parse(data, now).ca.step(carried, None, now, TIMES).unwrap() {
        CaStep::Save(shared, why) => Some((shared.data(), why)),
        CaStep::Unchanged(_) => None,
    }
}

/// Steps until nothing is left to do, with caBundles as they should be. Returns the reasons.
fn settle(data: &mut Data, now: OffsetDateTime) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    loop {
        let carried = SharedCa::parse(data, now).ca.bundle();
        let Some((next, why)) = saved(data, &[carried.clone(), carried], now) else { return reasons };
        *data = next;
        reasons.push(why);
        assert!(reasons.len() < 10, "{reasons:?}");
    }
}

fn keys(data: &Data) -> Vec<&str> {
    data.keys().map(String::as_str).collect()
}

#[test]
fn a_ca_is_changed_with_overlap() {
    let (begin, second) = (start(), Duration::SECOND);
    let mut data = Data::new();
    assert_eq!(settle(&mut data, begin), ["created a CA, which signs at once"]);
    assert_eq!(keys(&data), ["ca.crt", "ca.key", "leaf-life-seconds", "signs-since"]);
    let first = bundle::certificates(&data["ca.crt"]);

    let due = begin + TIMES.ca * 2 / 3;
    assert!(settle(&mut data, due - second).is_empty());
    // A CA is announced, but one caBundle does not hold it.
    let (announced, why) = saved(&data, std::slice::from_ref(&first), due).unwrap();
    assert_eq!(why, "announced a new CA");
    let both = SharedCa::parse(&announced, due).ca.bundle();
    let second_ca = bundle::certificates(&announced["next.crt"]);
    assert_eq!(both, [first.clone(), second_ca.clone()].concat());
    assert!(saved(&announced, &[both.clone(), first.clone()], due + TIMES.ca / 4).is_none());
    // The CA is in all caBundles, removed, and added again: the wait starts again.
    data = announced;
    assert_eq!(settle(&mut data, due + second), ["every caBundle holds the new CA"]);
    let (lost, why) = saved(&data, &[both.clone(), first.clone()], due + TIMES.settle).unwrap();
    assert_eq!(why, "announced the new CA again: it was removed from a caBundle");
    data = lost;
    let seen = due + TIMES.settle + second;
    assert_eq!(settle(&mut data, seen), ["every caBundle holds the new CA"]);
    assert!(settle(&mut data, seen + TIMES.settle - second).is_empty());
    assert_eq!(bundle::certificates(&data["ca.crt"]), first);

    let signs = seen + TIMES.settle;
    assert_eq!(settle(&mut data, signs), ["the new CA now signs"]);
    assert_eq!(
        (bundle::certificates(&data["ca.crt"]), bundle::certificates(&data["old.crt"])),
        (second_ca.clone(), first)
    );
    assert!(settle(&mut data, signs + TIMES.leaf + TIMES.settle - second).is_empty());
    let dropped = settle(&mut data, signs + TIMES.leaf + TIMES.settle);
    assert_eq!(dropped, ["removed the old CA: its certificates have expired"]);
    assert_eq!(SharedCa::parse(&data, signs).ca.bundle(), second_ca);
}

/// The Secret is restored from a backup, for example. Its CA is announced like any other, and the CA that signed before
/// stays trusted.
#[test]
fn a_secret_that_names_another_ca_does_not_sign_at_once() {
    let mut used = Data::new();
    let mut restored = Data::new();
    settle(&mut used, start());
    settle(&mut restored, start());
    let now = start() + TIMES.settle;
    let (old, other) = (bundle::certificates(&used["ca.crt"]), bundle::certificates(&restored["ca.crt"]));
    let step = |data: &Data, carried: &[Bundle], served_by: Option<&Bundle>| {
        let shared = SharedCa::parse(data, now).ca;
        match shared.step(carried, served_by.map(|ca| &ca[0]), now, TIMES).unwrap() {
            CaStep::Save(shared, why) => Some((shared.data(), why)),
            CaStep::Unchanged(_) => None,
        }
    };
    let why = "announced the CA of the Secret: a different CA is in use";
    // With a replica that serves a certificate, and with one that has just started.
    for served_by in [Some(&old), None] {
        let (saved, reason) = step(&restored, std::slice::from_ref(&old), served_by).unwrap();
        assert_eq!(reason, why);
        assert_eq!(
            (bundle::certificates(&saved["next.crt"]), bundle::certificates(&saved["old.crt"])),
            (other.clone(), old.clone())
        );
        assert!(!saved.contains_key("ca.crt"), "the CA does not sign yet");
        let mut at = now;
        let mut data = saved;
        let mut reasons = settle(&mut data, at);
        at += TIMES.settle;
        reasons.extend(settle(&mut data, at));
        assert_eq!(reasons, ["every caBundle holds the new CA", "the new CA now signs"]);
        assert_eq!(bundle::certificates(&data["old.crt"]), old, "until all its certificates have expired");
    }
    // An overwritten caBundle is no such case: it is restored at once.
    assert!(step(&used, std::slice::from_ref(&other), Some(&old)).is_none());
}

/// A CA whose common name is not valid UTF-8 is still a CA. If caBundles hold it and the Secret is gone, it is kept
/// beside the new CA until that has settled.
#[test]
fn a_ca_with_an_invalid_common_name_is_kept_while_the_next_is_announced() {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = rcgen::DnValue::Ia5String("scan-admission CA".try_into().unwrap());
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.not_after = start() + Duration::DAY;
    let carried: Bundle = vec![params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().clone()];
    let shared = SharedCa::parse(&Data::new(), start()).ca;
    let CaStep::Save(shared, _) = shared.step(&[carried.clone(), carried.clone()], None, start(), TIMES).unwrap()
    else {
        panic!("the step saves nothing")
    };
    let data = shared.data();
    assert_eq!(bundle::certificates(&data["old.crt"]), carried);
    assert!(shared.bundle().contains(&carried[0]), "the caBundles keep it");
}

/// Go checks a CA for the CA flag and its dates, which webpki does not.
#[test]
fn a_certificate_that_no_api_server_accepts_as_a_ca_is_damage() {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "scan-admission CA");
    let key = rcgen::KeyPair::generate().unwrap();
    let found = |params: &rcgen::CertificateParams| {
        let certificate = params.self_signed(&key).unwrap().pem().into_bytes();
        let key = key.serialize_pem().into_bytes();
        let data = Data::from([("ca.crt".to_owned(), certificate), ("ca.key".to_owned(), key)]);
        damages(&data, start())
    };
    assert_eq!(found(&params), ["ca.crt: the certificate is not that of a CA"]);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    assert_eq!(found(&params), ["ca.crt: the certificate is not that of a CA"]);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    assert_eq!(found(&params), [""; 0]);
    params.not_before = start() + Duration::HOUR;
    assert_eq!(found(&params), ["ca.crt is not valid yet"]);
}

/// A caBundle gets only certificates that an API server accepts as CAs.
#[test]
fn old_cas_are_checked_like_the_signing_ca() {
    let mut data = Data::new();
    settle(&mut data, start());
    let old = Ca::new(start(), TIMES.ca).unwrap().certificate;
    let good = pem::encode([&old]);
    let pem = |change: &dyn Fn(&mut rcgen::CertificateParams)| {
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        change(&mut params);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    let cases = [
        (pem(&|params| params.is_ca = rcgen::IsCa::NoCa), "old.crt: the certificate is not that of a CA"),
        (
            pem(&|params| params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature]),
            "old.crt: the certificate is not that of a CA",
        ),
        (pem(&|params| params.not_after = start() - Duration::HOUR), "old.crt has expired"),
        (pem(&|params| params.not_before = start() + Duration::HOUR), "old.crt is not valid yet"),
        (good.replace("MII", "M:I"), "old.crt: line 1: it has headers"),
        (good.replace(" CERTIFICATE", " PRIVATE KEY"), "old.crt: line 1: it is a PRIVATE KEY, not a CERTIFICATE"),
        (good.replace("-----BEGIN", "--BEGIN"), "old.crt: the entry contains no certificate"),
    ];
    for (bad, words) in cases {
        for (text, keeps_old) in [(bad.clone(), false), (good.clone() + &bad, true), (bad.clone() + &good, true)] {
            let mut damaged = data.clone();
            damaged.insert("old.crt".to_owned(), text.clone().into_bytes());
            let found = damages(&damaged, start());
            let line = if text.starts_with(&good) && bad.starts_with("-----") { good.lines().count() + 1 } else { 1 };
            let words = words.replace("line 1", &format!("line {line}"));
            let is_seen = found.len() == 1 && found[0].starts_with(&words);
            // Text that is no PEM block counts as a comment beside a block.
            assert!(is_seen || (keeps_old && bad.contains("--BEGIN") && found.is_empty()), "{text}: {found:?}");
            let bundle = SharedCa::parse(&damaged, start()).ca.bundle();
            let expected = [bundle::certificates(&data["ca.crt"]), Vec::from_iter(keeps_old.then(|| old.clone()))];
            assert_eq!(bundle, expected.concat(), "{text}");
            settle(&mut damaged, start());
            assert_eq!(damages(&damaged, start()), [""; 0], "the damaged entry is removed from the Secret");
        }
    }
    let joined = good.trim_end().to_owned() + &good;
    data.insert("old.crt".to_owned(), joined.into_bytes());
    assert_eq!(damages(&data, start()).len(), 2);
    // A foreign CA in ca.crt does not sign, and is not trusted.
    let foreign = pem(&|_| ());
    data.insert("ca.crt".to_owned(), foreign.clone().into_bytes());
    assert!(!SharedCa::parse(&data, start()).ca.bundle().contains(&bundle::certificates(foreign.as_bytes())[0]));
}

/// Times are written in whole seconds and rounded up, so that no wait is shortened.
#[test]
fn times_are_rounded_up() {
    let now = start() + Duration::milliseconds(1);
    let mut data = Data::new();
    settle(&mut data, now);
    assert_eq!(data["signs-since"], b"2027-01-15T08:00:01Z");
    let end = Ca::parse(&data["ca.crt"], &data["ca.key"]).unwrap().leaf_dates(now, Duration::SECOND).1;
    assert_eq!(end, start() + 2 * Duration::SECOND);
}

/// A replica with a longer lifetime records it in the Secret before it signs, and the old CA is kept for that time.
#[test]
fn the_longest_life_of_a_certificate_counts() {
    let mut data = Data::new();
    settle(&mut data, start());
    let long = CaTimes { ca: 2 * TIMES.ca, leaf: TIMES.leaf * 3 / 2, ..TIMES };
    let step = SharedCa::parse(&data, start()).ca.step(&[], None, start(), long).unwrap();
    let CaStep::Save(shared, why) = step else { panic!("the step saves nothing") };
    assert_eq!(why, "recorded a longer lifetime of certificates");
    data = shared.data();
    assert_eq!(data["leaf-life-seconds"], b"450");
    let due = start() + TIMES.ca * 2 / 3;
    settle(&mut data, due);
    assert_eq!(settle(&mut data, due + TIMES.settle), ["the new CA now signs"]);
    assert!(settle(&mut data, due + TIMES.settle + TIMES.leaf + TIMES.settle).is_empty());
    assert_eq!(settle(&mut data, due + TIMES.settle + long.leaf + TIMES.settle).len(), 1);
}

/// Returns a Secret in the middle of a change: the CA that signs, the next one, and the old one.
fn full() -> (Data, OffsetDateTime) {
    let mut data = Data::new();
    settle(&mut data, start());
    let due = start() + TIMES.ca * 2 / 3;
    settle(&mut data, due);
    settle(&mut data, due + TIMES.settle);
    let next = Ca::new(due, TIMES.ca).unwrap();
    data.insert("next.crt".to_owned(), pem::encode([&next.certificate]).into_bytes());
    data.insert("next.key".to_owned(), next.key_pem().into_bytes());
    data.insert("announced-at".to_owned(), data["signs-since"].clone());
    (data, due + TIMES.settle)
}

#[test]
fn a_written_secret_is_read_back_unchanged() {
    let (data, now) = full();
    let ParsedCa { ca: shared, damages } = SharedCa::parse(&data, now);
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!(shared.data(), data);
    assert_eq!(shared.bundle().len(), 3);
}

#[test]
fn each_damage_is_named_and_repaired_and_no_ca_that_webhooks_carry_is_lost() {
    let (data, now) = full();
    let carried = SharedCa::parse(&data, now).ca.bundle();
    let other = Ca::new(now, TIMES.ca).unwrap();
    let foreign = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
    let cases: [(&str, Option<Vec<u8>>, &str); 15] = [
        ("ca.crt", None, "ca.crt is missing"),
        ("ca.crt", Some(b"nonsense".to_vec()), "ca.crt: the entry contains no certificate"),
        ("ca.crt", Some(data["ca.crt"][..200].to_vec()), "has an error on line 1: the block has no matching -----END"),
        ("ca.crt", Some(data["next.crt"].clone()), "the key does not belong to the certificate"),
        ("ca.crt", Some(foreign.cert.pem().into_bytes()), "the key does not belong to the certificate"),
        ("ca.key", None, "ca.key is missing"),
        ("ca.key", Some(vec![0xff, 0xfe]), "the key cannot be parsed"),
        ("ca.key", Some(b"nonsense".to_vec()), "the key cannot be parsed"),
        ("ca.key", Some(other.key_pem().into_bytes()), "the key does not belong to the certificate"),
        ("next.key", Some(Vec::new()), "the key cannot be parsed"),
        ("next.crt", None, "next.crt is missing"),
        ("old.crt", Some(b"nonsense".to_vec()), "old.crt: the entry contains no certificate"),
        ("announced-at", Some(b"yesterday".to_vec()), "announced-at is not a time, or in the future"),
        ("signs-since", Some(b"9999-12-31T23:59:59Z".to_vec()), "signs-since is not a time, or in the future"),
        (
            "leaf-life-seconds",
            Some(b"99999999999".to_vec()),
            "leaf-life-seconds is not a number of seconds, or too large",
        ),
    ];
    for (name, text, words) in cases {
        let mut damaged = data.clone();
        damaged.remove(name);
        damaged.extend(text.map(|text| (name.to_owned(), text)));
        let found = damages(&damaged, now);
        assert!(found.len() == 1 && found[0].contains(words), "{name}: {found:?}");
        // Each step starts from the result of the last one. The caBundles first hold what they held before, then what
        // they should.
        let mut at = now;
        if let Some((repaired, _)) = saved(&damaged, std::slice::from_ref(&carried), at) {
            damaged = repaired;
        }
        let kept = SharedCa::parse(&damaged, at).ca.bundle();
        if name.starts_with("ca.") {
            assert!(carried.iter().all(|ca| kept.contains(ca)), "{name}");
        }
        for _ in 0..7 {
            settle(&mut damaged, at);
            at += TIMES.leaf / 3;
        }
        let ParsedCa { ca: shared, damages } = SharedCa::parse(&damaged, at);
        assert!(damages.is_empty() && shared.current.is_some(), "{name}: {damages:?}");
        assert_eq!(keys(&damaged), ["ca.crt", "ca.key", "leaf-life-seconds", "signs-since"], "{name}");
    }
}

/// An expired CA in the Secret is treated as missing.
#[test]
fn after_the_ca_has_expired_a_new_one_signs_at_once() {
    let mut data = Data::new();
    settle(&mut data, start());
    let late = start() + 2 * TIMES.ca;
    assert_eq!(damages(&data, late), ["ca.crt has expired"]);
    assert_eq!(settle(&mut data, late), ["created a CA, which signs at once"]);
}

/// A foreign CA in a caBundle stays until all certificates that it may have signed have expired. This allows a
/// migration from other certificates.
#[test]
fn a_new_ca_does_not_replace_one_in_a_ca_bundle() {
    let foreign = Ca::new(start(), TIMES.ca).unwrap().certificate;
    let expired = Ca::new(start() - 2 * TIMES.ca, TIMES.ca).unwrap().certificate;
    let carried = [vec![foreign.clone(), expired], vec![]];
    // One of the two configurations is missing, or its caBundle is empty.
    let (data, why) = saved(&Data::new(), &carried, start()).unwrap();
    assert_eq!(why, "keeping the CAs of the caBundles until their certificates expire");
    assert_eq!(bundle::certificates(&data["old.crt"]), std::slice::from_ref(&foreign));
    let (data, why) = saved(&data, &carried, start()).unwrap();
    assert_eq!(why, "announced a new CA");
    assert!(!data.contains_key("ca.crt"));
    // The CA of a certificate that this replica serves is kept in the same way.
    let served = SharedCa::parse(&Data::new(), start()).ca.step(&[], Some(&foreign), start(), TIMES).unwrap();
    assert!(matches!(served, CaStep::Save(shared, _) if shared.bundle() == [foreign]));
}

#[test]
fn a_leaf_is_verified_by_its_ca_for_each_name() {
    let now = OffsetDateTime::now_utc();
    let ca = Ca::new(now, TIMES.ca).unwrap();
    // The CA is read from the Secret, as after a restart.
    let ca = Ca::parse(pem::encode([&ca.certificate]).as_bytes(), ca.key_pem().as_bytes()).unwrap();
    let names = ["a", "a.b", "a.b.svc"].map(ToOwned::to_owned);
    let leaf = ca.leaf(&names, now, 2 * TIMES.ca).unwrap();
    assert_eq!(ca.leaf_dates(now, 2 * TIMES.ca).1, ca.not_after);
    let verifier = |ca: &Ca| {
        let mut roots = RootCertStore::empty();
        roots.add(ca.certificate.clone()).unwrap();
        let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
        builder.build().unwrap()
    };
    let verify = |ca: &Ca, name: &str, at: OffsetDateTime| {
        let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at.unix_timestamp().try_into().unwrap()));
        let name = ServerName::try_from(name.to_owned()).unwrap();
        verifier(ca).verify_server_cert(&leaf.cert[0], &[], &name, &[], at).map(drop)
    };
    for name in &names {
        verify(&ca, name, now).unwrap();
        verify(&ca, name, ca.not_after).unwrap();
        verify(&ca, name, ca.not_after + Duration::SECOND).unwrap_err();
    }
    verify(&ca, "other", now).unwrap_err();
    verify(&Ca::new(now, TIMES.ca).unwrap(), "a", now).unwrap_err();
}

/// Simulates a run of days for each seed. `Simulation` says what must hold at every moment.
fn simulate(seeds: std::ops::Range<u64>, acts: &'static [Act]) {
    let mut changes = 0;
    for seed in seeds {
        let mut simulation = Simulation::new(seed, TIMES, acts);
        simulation.run(4 * TIMES.ca);
        changes += simulation.settle_down();
    }
    assert!(changes > 0);
}

#[test]
fn replicas_that_pause_and_crash_change_cas_without_a_gap() {
    simulate(0..4, &[]);
}

#[test]
fn a_deleted_or_damaged_secret_invalidates_no_served_certificate() {
    simulate(100..104, Act::ON_THE_SECRET);
}

#[test]
fn the_damage_of_every_act_is_repaired() {
    simulate(200..204, Act::ALL);
}
