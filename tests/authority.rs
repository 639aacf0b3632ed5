//! The shared CA without a network: what is written to the Secret, step by step, and replicas that do so at once.

#[path = "authority/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{ServerName, UnixTime};
use scan_admission::cluster::authority::{Authority, Bundle, Step, Times, bundle, pem};
use scan_admission::cluster::ca::Ca;
use time::{Duration, OffsetDateTime};
use world::{Act, World};

const TIMES: Times = Times { ca: Duration::seconds(1200), leaf: Duration::seconds(300), settle: Duration::seconds(60) };

type Data = BTreeMap<String, Vec<u8>>;

fn start() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
}

/// What the step writes, and the reason that it gives.
fn saved(data: &Data, carried: &[Bundle], now: OffsetDateTime) -> Option<(Data, &'static str)> {
    match Authority::parse(data, now).0.step(carried, None, now, TIMES).unwrap() {
        Step::Save(authority, why) => Some((authority.data(), why)),
        Step::Rest(_) => None,
    }
}

/// Steps until there is nothing to do, with webhooks that carry what they should: the reasons.
fn settle(data: &mut Data, now: OffsetDateTime) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    loop {
        let carried = Authority::parse(data, now).0.bundle();
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
    assert_eq!(settle(&mut data, begin), ["a new CA signs"]);
    assert_eq!(keys(&data), ["ca.crt", "ca.key", "leaf-life-seconds", "signs-since"]);
    let first = bundle(&data["ca.crt"]);

    let due = begin + TIMES.ca * 2 / 3;
    assert!(settle(&mut data, due - second).is_empty());
    // Announced, but one webhook does not carry it.
    let (announced, why) = saved(&data, std::slice::from_ref(&first), due).unwrap();
    assert_eq!(why, "a new CA is announced");
    let both = Authority::parse(&announced, due).0.bundle();
    let second_ca = bundle(&announced["next.crt"]);
    assert_eq!(both, [first.clone(), second_ca.clone()].concat());
    assert!(saved(&announced, &[both.clone(), first.clone()], due + TIMES.ca / 4).is_none());
    // It is carried, lost, and carried again: the wait begins anew.
    data = announced;
    assert_eq!(settle(&mut data, due + second), ["every webhook carries the new CA"]);
    let (lost, why) = saved(&data, &[both.clone(), first.clone()], due + TIMES.settle).unwrap();
    assert_eq!(why, "not every webhook carries the new CA any more: it is announced again");
    data = lost;
    let seen = due + TIMES.settle + second;
    assert_eq!(settle(&mut data, seen), ["every webhook carries the new CA"]);
    assert!(settle(&mut data, seen + TIMES.settle - second).is_empty());
    assert_eq!(bundle(&data["ca.crt"]), first);

    let signs = seen + TIMES.settle;
    assert_eq!(settle(&mut data, signs), ["the new CA signs"]);
    assert_eq!((bundle(&data["ca.crt"]), bundle(&data["old.crt"])), (second_ca.clone(), first));
    assert!(settle(&mut data, signs + TIMES.leaf + TIMES.settle - second).is_empty());
    let dropped = settle(&mut data, signs + TIMES.leaf + TIMES.settle);
    assert_eq!(dropped, ["the old CA is dropped: all it signed has ended"]);
    assert_eq!(Authority::parse(&data, signs).0.bundle(), second_ca);
}

/// Out of a backup, say: its CA is announced like any other, and what signed before goes on being trusted.
#[test]
fn a_secret_that_names_another_ca_does_not_sign_at_once() {
    let mut used = Data::new();
    let mut restored = Data::new();
    settle(&mut used, start());
    settle(&mut restored, start());
    let now = start() + TIMES.settle;
    let (old, other) = (bundle(&used["ca.crt"]), bundle(&restored["ca.crt"]));
    let step = |data: &Data, carried: &[Bundle], served_by: Option<&Bundle>| {
        let authority = Authority::parse(data, now).0;
        match authority.step(carried, served_by.map(|ca| &ca[0]), now, TIMES).unwrap() {
            Step::Save(authority, why) => Some((authority.data(), why)),
            Step::Rest(_) => None,
        }
    };
    let why = "the Secret names another CA than was in use: it is announced first";
    // A replica that serves, and one that has just started.
    for served_by in [Some(&old), None] {
        let (saved, reason) = step(&restored, std::slice::from_ref(&old), served_by).unwrap();
        assert_eq!(reason, why);
        assert_eq!((bundle(&saved["next.crt"]), bundle(&saved["old.crt"])), (other.clone(), old.clone()));
        assert!(!saved.contains_key("ca.crt"), "nobody signs by it yet");
        let mut at = now;
        let mut data = saved;
        let mut reasons = settle(&mut data, at);
        at += TIMES.settle;
        reasons.extend(settle(&mut data, at));
        assert_eq!(reasons, ["every webhook carries the new CA", "the new CA signs"]);
        assert_eq!(bundle(&data["old.crt"]), old, "until all it signed has ended");
    }
    // That somebody has overwritten a caBundle is no such case: it is put back at once.
    assert!(step(&used, std::slice::from_ref(&other), Some(&old)).is_none());
}

/// Go asks of an authority what webpki does not: that it is one, and its dates.
#[test]
fn what_no_api_server_takes_for_a_ca_is_damage() {
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, "scan-admission CA");
    let key = rcgen::KeyPair::generate().unwrap();
    let said = |params: &rcgen::CertificateParams| {
        let certificate = params.self_signed(&key).unwrap().pem().into_bytes();
        let key = key.serialize_pem().into_bytes();
        let data = Data::from([("ca.crt".to_owned(), certificate), ("ca.key".to_owned(), key)]);
        Authority::parse(&data, start()).1
    };
    assert_eq!(said(&params), ["ca.crt: the certificate is not a CA's"]);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    assert_eq!(said(&params), ["ca.crt: the certificate is not a CA's"]);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    assert_eq!(said(&params), [""; 0]);
    params.not_before = start() + Duration::HOUR;
    assert_eq!(said(&params), ["ca.crt is not valid yet"]);
}

/// Times are written in whole seconds: no wait is shorter for it.
#[test]
fn times_are_rounded_up() {
    let now = start() + Duration::milliseconds(1);
    let mut data = Data::new();
    settle(&mut data, now);
    assert_eq!(data["signs-since"], b"2027-01-15T08:00:01Z");
    let end = Ca::parse(&data["ca.crt"], &data["ca.key"]).unwrap().leaf_dates(now, Duration::SECOND).1;
    assert_eq!(end, start() + 2 * Duration::SECOND);
}

/// Whoever was told a longer life says so before it signs, and the old CA waits for it.
#[test]
fn the_longest_life_of_a_certificate_counts() {
    let mut data = Data::new();
    settle(&mut data, start());
    let long = Times { ca: 2 * TIMES.ca, leaf: TIMES.leaf * 3 / 2, ..TIMES };
    let step = Authority::parse(&data, start()).0.step(&[], None, start(), long).unwrap();
    let Step::Save(authority, why) = step else { panic!("rests") };
    assert_eq!(why, "certificates hold longer than before");
    data = authority.data();
    assert_eq!(data["leaf-life-seconds"], b"450");
    let due = start() + TIMES.ca * 2 / 3;
    settle(&mut data, due);
    assert_eq!(settle(&mut data, due + TIMES.settle), ["the new CA signs"]);
    assert!(settle(&mut data, due + TIMES.settle + TIMES.leaf + TIMES.settle).is_empty());
    assert_eq!(settle(&mut data, due + TIMES.settle + long.leaf + TIMES.settle).len(), 1);
}

/// A Secret in the middle of a change: two CAs that sign or will, and one that did.
fn full() -> (Data, OffsetDateTime) {
    let mut data = Data::new();
    settle(&mut data, start());
    let due = start() + TIMES.ca * 2 / 3;
    settle(&mut data, due);
    settle(&mut data, due + TIMES.settle);
    let next = Ca::new(due, TIMES.ca).unwrap();
    data.insert("next.crt".to_owned(), pem([&next.certificate]).into_bytes());
    data.insert("next.key".to_owned(), next.key_pem().into_bytes());
    data.insert("announced-at".to_owned(), data["signs-since"].clone());
    (data, due + TIMES.settle)
}

#[test]
fn what_is_written_is_what_is_read() {
    let (data, now) = full();
    let (authority, damages) = Authority::parse(&data, now);
    assert!(damages.is_empty(), "{damages:?}");
    assert_eq!(authority.data(), data);
    assert_eq!(authority.bundle().len(), 3);
}

#[test]
fn each_damage_is_named_and_mended_and_no_ca_that_webhooks_carry_is_lost() {
    let (data, now) = full();
    let carried = Authority::parse(&data, now).0.bundle();
    let other = Ca::new(now, TIMES.ca).unwrap();
    let foreign = rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap();
    let damages: [(&str, Option<Vec<u8>>, &str); 15] = [
        ("ca.crt", None, "ca.crt is missing"),
        ("ca.crt", Some(b"nonsense".to_vec()), "the certificate does not parse"),
        ("ca.crt", Some(data["ca.crt"][..200].to_vec()), "the certificate does not parse"),
        ("ca.crt", Some(data["next.crt"].clone()), "the key is not that of the certificate"),
        ("ca.crt", Some(foreign.cert.pem().into_bytes()), "the key is not that of the certificate"),
        ("ca.key", None, "ca.key is missing"),
        ("ca.key", Some(vec![0xff, 0xfe]), "the key is no text"),
        ("ca.key", Some(b"nonsense".to_vec()), "the key does not parse"),
        ("ca.key", Some(other.key_pem().into_bytes()), "the key is not that of the certificate"),
        ("next.key", Some(Vec::new()), "the key does not parse"),
        ("next.crt", None, "next.crt is missing"),
        ("old.crt", Some(b"nonsense".to_vec()), "old.crt is no certificate"),
        ("announced-at", Some(b"yesterday".to_vec()), "announced-at is no time, or in the future"),
        ("signs-since", Some(b"9999-12-31T23:59:59Z".to_vec()), "signs-since is no time, or in the future"),
        ("leaf-life-seconds", Some(b"99999999999".to_vec()), "leaf-life-seconds is no number of seconds"),
    ];
    for (name, text, words) in damages {
        let mut damaged = data.clone();
        damaged.remove(name);
        damaged.extend(text.map(|text| (name.to_owned(), text)));
        let (_, said) = Authority::parse(&damaged, now);
        assert!(said.len() == 1 && said[0].contains(words), "{name}: {said:?}");
        // Each look is as the last one left it; the webhooks carry what they carried before, then what they should.
        let mut at = now;
        if let Some((mended, _)) = saved(&damaged, std::slice::from_ref(&carried), at) {
            damaged = mended;
        }
        let kept = Authority::parse(&damaged, at).0.bundle();
        if name.starts_with("ca.") {
            assert!(carried.iter().all(|ca| kept.contains(ca)), "{name}");
        }
        for _ in 0..7 {
            settle(&mut damaged, at);
            at += TIMES.leaf / 3;
        }
        let (authority, said) = Authority::parse(&damaged, at);
        assert!(said.is_empty() && authority.current.is_some(), "{name}: {said:?}");
        assert_eq!(keys(&damaged), ["ca.crt", "ca.key", "leaf-life-seconds", "signs-since"], "{name}");
    }
}

/// What is in the Secret and has ended is as good as not there.
#[test]
fn after_a_long_sleep_a_new_ca_signs_at_once() {
    let mut data = Data::new();
    settle(&mut data, start());
    let late = start() + 2 * TIMES.ca;
    let (_, damages) = Authority::parse(&data, late);
    assert_eq!(damages, ["ca.crt has expired"]);
    assert_eq!(settle(&mut data, late), ["a new CA signs"]);
}

/// A CA of somebody else's that webhooks carry stays until nothing it signed can be left: the way from other certificates.
#[test]
fn a_new_ca_does_not_push_out_one_that_is_carried() {
    let foreign = Ca::new(start(), TIMES.ca).unwrap().certificate;
    let expired = Ca::new(start() - 2 * TIMES.ca, TIMES.ca).unwrap().certificate;
    let carried = [vec![foreign.clone(), expired], vec![]];
    // One of the two configurations is not there, or carries nothing.
    let (data, why) = saved(&Data::new(), &carried, start()).unwrap();
    assert_eq!(why, "the CAs that webhooks carry are kept for now");
    assert_eq!(bundle(&data["old.crt"]), std::slice::from_ref(&foreign));
    let (data, why) = saved(&data, &carried, start()).unwrap();
    assert_eq!(why, "a new CA is announced");
    assert!(!data.contains_key("ca.crt"));
    // So does that of a certificate that this replica serves.
    let served = Authority::parse(&Data::new(), start()).0.step(&[], Some(&foreign), start(), TIMES).unwrap();
    assert!(matches!(served, Step::Save(authority, _) if authority.bundle() == [foreign]));
}

#[test]
fn a_leaf_is_verified_by_its_ca_for_each_name() {
    let now = OffsetDateTime::now_utc();
    let ca = Ca::new(now, TIMES.ca).unwrap();
    // As after a restart: from the Secret.
    let ca = Ca::parse(pem([&ca.certificate]).as_bytes(), ca.key_pem().as_bytes()).unwrap();
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

/// For each seed another run of days: see `World` for what is held at every moment.
fn walk(seeds: std::ops::Range<u64>, acts: &'static [Act]) {
    let mut changes = 0;
    for seed in seeds {
        let mut world = World::new(seed, TIMES, acts);
        world.run(4 * TIMES.ca);
        changes += world.calm_down();
    }
    assert!(changes > 0);
}

#[test]
fn replicas_that_sleep_and_die_change_cas_without_a_gap() {
    walk(0..4, &[]);
}

#[test]
fn a_secret_that_is_deleted_or_damaged_costs_no_certificate_that_is_served() {
    walk(100..104, Act::ON_THE_SECRET);
}

#[test]
fn whatever_somebody_does_heals() {
    walk(200..204, Act::ALL);
}
