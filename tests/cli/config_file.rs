//! Tests the configuration file: its contents, its exact error messages, and its schema.
//! Run `UPDATE=1 cargo test` to write the page and the schema again.

use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use scan_admission::admission::{FaultPolicy, Override, ReviewSettings};
use scan_admission::config::{Config, Limits, schema};
use scan_admission::docs::EXAMPLE_CONFIG;
use scan_admission::engine::{Mode, RuleMode};
use scan_admission::rules::RULES;
use serde_json::{Map, Value, json};

use crate::support::fixtures;
use crate::support::folder::Folder;
use crate::support::program;

fn program(arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
    program::clean(&mut program);
    program.args(arguments).output().unwrap()
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_example_has_the_settings_that_it_describes() {
    let config = Config::read(EXAMPLE_CONFIG.as_bytes()).unwrap();
    let modes = |modes: &[(&'static str, Mode)]| modes.iter().map(|&(rule, mode)| RuleMode { rule, mode }).collect();
    let expected = ReviewSettings {
        faults: FaultPolicy::Deny,
        modes: modes(&[("metadata-url", Mode::Warn), ("phase-jump", Mode::Off), ("scan-template", Mode::Audit)]),
        overrides: vec![
            Override {
                namespaces: strings(&["dev-*", "sandbox"]),
                modes: modes(&[("artifact-source", Mode::Audit), ("compliant-artifact", Mode::Warn)]),
                ..Override::default()
            },
            Override {
                namespaces: strings(&["sandbox"]),
                groups: strings(&["security-team"]),
                modes: modes(&[("compliant-artifact", Mode::Deny)]),
                ..Override::default()
            },
            Override {
                users: strings(&["system:serviceaccount:backup:*"]),
                modes: modes(&[("observed-generation", Mode::Audit), ("scanned-at", Mode::Audit)]),
                ..Override::default()
            },
        ],
        status_writers: strings(&["system:serviceaccount:scan-link-system:scan-link-controller"]),
        help: "https://wiki.example.com/scans".to_owned(),
        digest: config.settings.digest.clone(),
    };
    assert_eq!(config.settings, expected);
    // The example says "These are the defaults".
    assert_eq!(config.limits, Limits::default());
    // The example has every setting.
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    for part in ["OverrideEntry", "Limits"] {
        for name in schema["$defs"][part]["properties"].as_object().unwrap().keys() {
            assert!(EXAMPLE_CONFIG.contains(&format!(" {name}: ")), "{name}");
        }
    }
    for name in schema["properties"].as_object().unwrap().keys() {
        assert!(EXAMPLE_CONFIG.contains(&format!("\n{name}:")), "{name}");
    }
}

#[test]
fn absent_members_have_their_defaults() {
    for text in ["", "# nothing\n", "---\n", "{}", "rules: {}\noverrides: []\nstatusWriters:\nlimits: {}\nhelp:\n"] {
        let mut config = Config::read(text.as_bytes()).unwrap_or_else(|fault| panic!("{text:?}: {fault}"));
        assert_eq!(config.settings.digest.len(), 12);
        config.settings.digest.clear();
        assert_eq!(config, Config::default(), "{text:?}");
    }
    let limits = "limits: {connections: 7, bodiesBytes: 1Gi, head: 1500ms, idle: 1m35s}";
    let limits = Config::read(limits.as_bytes()).unwrap().limits;
    let (head, idle) = (Duration::from_millis(1500), Duration::from_secs(95));
    assert_eq!(limits, Limits { connections: 7, bodies_bytes: 1 << 30, head, idle, ..Limits::default() });
    // JSON is accepted, too, and so are modes in quotes, which older YAML writers add.
    let json = br#"{"rules": {"phase-jump": "off"}, "faults": "failure-policy"}"#;
    let config = Config::read(json).unwrap();
    assert_eq!(config.settings.modes, [RuleMode { rule: "phase-jump", mode: Mode::Off }]);
    assert_eq!(config.settings.faults, FaultPolicy::FailurePolicy);
}

/// Invalid files, each with its error: line, column, message.
const WRONG: &[(&str, &str)] = &[
    ("rulez: {}", r#"1:1: unknown field "rulez"; did you mean "rules"?"#),
    ("statuswriters: [a]", r#"1:1: unknown field "statuswriters"; did you mean "statusWriters"?"#),
    (
        "a: 1",
        r#"1:1: unknown field "a"; known fields: "rules", "overrides", "statusWriters", "faults", "limits", "help""#,
    ),
    ("rules:\n  phase-jmp: off", r#"2:3: unknown rule "phase-jmp"; did you mean "phase-jump"?"#),
    ("rules:\n  cve_total: off", r#"2:3: unknown rule "cve_total"; did you mean "cve-total"?"#),
    ("rules:\n  x: off", r#"2:3: unknown rule "x"; `scan-admission rules` lists the known rules"#),
    (
        "rules:\n  phase-jump: of",
        r#"2:15: Unsupported value: "of": supported values: "deny", "warn", "audit", "off"; did you mean "off"?"#,
    ),
    (
        "rules:\n  phase-jump: Warn",
        r#"2:15: Unsupported value: "Warn": supported values: "deny", "warn", "audit", "off"; did you mean "warn"?"#,
    ),
    (
        "rules:\n  phase-jump: false",
        r#"2:15: Unsupported value: "false": supported values: "deny", "warn", "audit", "off"; did you mean "off"?"#,
    ),
    (
        "rules:\n  phase-jump: block",
        r#"2:15: Unsupported value: "block": supported values: "deny", "warn", "audit", "off""#,
    ),
    ("rules:\n  phase-jump: off\n  phase-jump: off", r#"3:3: duplicate field "phase-jump""#),
    ("rules: {}\nrules: {}", r#"2:1: duplicate field "rules""#),
    ("rules: [phase-jump]", "1:8: Invalid value: must be a mapping"),
    ("- rules", "1:1: Invalid value: must be a mapping"),
    ("rules: {status-writer: warn}", "1:24: the rule status-writer requires a list of users in statusWriters"),
    (
        "overrides:\n- users: [jane]\n  rules: {status-writer: deny}",
        "3:26: the rule status-writer requires a list of users in statusWriters",
    ),
    ("overrides:\n- namespaces: dev\n  rules: {phase-jump: off}", "2:15: Invalid value: must be a list"),
    (
        "overrides:\n- namespace: [dev]\n  rules: {phase-jump: off}",
        r#"2:3: unknown field "namespace"; did you mean "namespaces"?"#,
    ),
    (
        "overrides:\n- namespaces: [dev]\n  rules: {phase-jmp: off}",
        r#"3:11: unknown rule "phase-jmp"; did you mean "phase-jump"?"#,
    ),
    ("overrides:\n- namespaces: [dev]", r#"2:3: missing field "rules""#),
    ("overrides:\n- namespaces: [dev]\n  rules: {}", "2:3: an override must set the mode of at least one rule"),
    (
        "overrides:\n- rules: {phase-jump: off}",
        "2:3: an override must have namespaces, users or groups; set modes for all requests in the top-level rules",
    ),
    (
        "overrides:\n- users: []\n  rules: {phase-jump: off}",
        "2:3: a list of an override must not be empty; remove it to match all requests",
    ),
    (
        "overrides:\n- users: ['']\n  rules: {phase-jump: off}",
        r#"2:11: Invalid value: "": must be a name or a pattern with *"#,
    ),
    (
        "overrides:\n- users: [*-bot]\n  rules: {phase-jump: off}",
        "2:11: alias references unknown anchor: quote a pattern that begins with *",
    ),
    ("statusWriters: a", "1:16: Invalid value: must be a list"),
    ("statusWriters: []", "1:16: statusWriters must not be empty; remove it to allow all users"),
    ("rules: {}\nstatusWriters: # nobody\n  []", "3:3: statusWriters must not be empty; remove it to allow all users"),
    ("statusWriters: [~]", "1:17: Required value: must be a string"),
    ("statusWriters: ['system:*']", r#"1:17: Invalid value: "system:*": must be the full name of a user, without *"#),
    (
        "faults: alow",
        r#"1:9: Unsupported value: "alow": supported values: "deny", "allow", "failure-policy"; did you mean "allow"?"#,
    ),
    (
        "faults: failurePolicy",
        r#"1:9: Unsupported value: "failurePolicy": supported values: "deny", "allow", "failure-policy"; did you mean "failure-policy"?"#,
    ),
    ("help: wiki", r#"1:7: Invalid value: "wiki": must be an http or https URL of at most 200 characters"#),
    ("limits: {conections: 5}", r#"1:10: unknown field "conections"; did you mean "connections"?"#),
    ("limits: {connections: 0}", r#"1:23: Invalid value: 0: must be an integer from 1 to 1000000"#),
    ("limits: {connections: many}", r#"1:23: Invalid value: "many": must be an integer from 1 to 1000000"#),
    (
        "limits: {bodiesBytes: 64MB}",
        r#"1:23: Invalid value: "64MB": must be an amount of memory from 16Mi to 64Gi, such as 64Mi"#,
    ),
    (
        "limits: {bodiesBytes: 1Mi}",
        r#"1:23: Invalid value: "1Mi": must be an amount of memory from 16Mi to 64Gi, such as 64Mi"#,
    ),
    ("limits: {idle: 5}", r#"1:16: Invalid value: 5: must be a duration from 100ms to 1h, such as 5s"#),
    ("limits: {idle: 2h}", r#"1:16: Invalid value: "2h": must be a duration from 100ms to 1h, such as 5s"#),
    ("limits: {idle: ''}", r#"1:16: Invalid value: "": must be a duration from 100ms to 1h, such as 5s"#),
    // An unknown field is reported even without a value.
    ("rulez:\n", r#"1:1: unknown field "rulez"; did you mean "rules"?"#),
    (
        "overrides:\n- namespaces:\n  # - dev\n  rules: {phase-jump: off}",
        "4:3: an override must have namespaces, users or groups; set modes for all requests in the top-level rules",
    ),
    ("rules: {phase-jump: off", "1:8: unclosed bracket '{'"),
    ("rules:\n\tphase-jump: off", "2:2: tabs disallowed within this context (block indentation)"),
    ("rules: {}\n---\nrules: {}", "3:1: a second document begins here: the file must have only one"),
];

#[test]
fn errors_have_a_position_and_the_expected_value() {
    for (text, words) in WRONG {
        let fault = Config::read(text.as_bytes()).expect_err(text);
        assert_eq!(format!("{}:{}: {}", fault.line, fault.column, fault.message), *words, "{text}");
    }
    let fault = Config::read(b"# nothing\nrules: {phase-jump: \xff}").unwrap_err();
    let words = "invalid UTF-8 (byte 0xFF): save the file as UTF-8";
    assert_eq!((fault.line, fault.column, fault.message.as_str()), (2, 21, words));
}

/// Tests every member of the schema, at every level, in both styles of YAML.
#[test]
fn a_section_whose_entries_are_commented_out_is_absent() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let names = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (members, limits) = (names(&schema), names(&schema["$defs"]["Limits"]));
    let rules = names(&schema["$defs"]["Rules"]);
    assert!(members.len() >= 6 && limits.len() >= 9 && rules.len() > 20, "{members:?} {limits:?} {rules:?}");
    let without = |text: &str| {
        let mut config = Config::read(text.as_bytes()).unwrap_or_else(|fault| panic!("{text}: {fault}"));
        config.settings.digest.clear();
        config
    };
    let mut texts: Vec<String> = Vec::new();
    for (section, names) in [(None, members), (Some("limits"), limits), (Some("rules"), rules)] {
        for null in ["", "~", "null", "# dev"] {
            let lines: String = names.iter().map(|name| format!("  {name}: {null}\n  # - x\n")).collect();
            texts.push(section.map_or_else(|| lines.replace("\n  ", "\n"), |section| format!("{section}:\n{lines}")));
        }
        for name in names {
            let member = format!("{{{name}: }}");
            texts
                .push(section.map_or_else(|| member.clone(), |section| format!("{{{section}: {member}, help: null}}")));
        }
    }
    for text in texts {
        assert_eq!(without(text.trim_start()), Config::default(), "{text}");
    }
    let mixed = "rules:\n  cve-total:\n  phase-jump: off\nlimits:\n  idle:\n  # head: 3s\n  connections: 7\n";
    let config = without(mixed);
    assert_eq!(config.settings.modes, [RuleMode { rule: "phase-jump", mode: Mode::Off }]);
    assert_eq!(config.limits, Limits { connections: 7, ..Limits::default() });
    let lists = "overrides:\n- namespaces: [dev]\n  users:\n  # - jane\n  groups: ~\n  rules: {phase-jump: off}\n";
    let [only] = &without(lists).settings.overrides[..] else { panic!("one override") };
    assert_eq!((&only.namespaces, only.users.len(), only.groups.len()), (&strings(&["dev"]), 0, 0));
}

/// Windows programs write these encodings.
#[test]
fn utf_16_and_a_byte_order_mark_are_read() {
    let text = "\u{FEFF}# é\r\nrules:\r\n  phase-jump: of\r\n";
    let utf16 = |bytes: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    for bytes in [text.as_bytes().to_vec(), utf16(u16::to_le_bytes), utf16(u16::to_be_bytes)] {
        let fault = Config::read(&bytes).unwrap_err();
        assert_eq!((fault.line, fault.column), (3, 15), "{fault}");
        assert!(fault.message.contains(r#"did you mean "off"?"#), "{fault}");
    }
    let unmarked: Vec<u8> = "rules: {}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let fault = Config::read(&unmarked).unwrap_err();
    assert!((fault.line, fault.column) == (1, 1) && fault.message.contains("without a byte order mark"), "{fault}");
}

#[test]
fn an_empty_variable_is_unset() {
    let folder = Folder::new();
    let path = folder.join("scan.yaml");
    fs::write(&path, "apiVersion: v1\nkind: ConfigMap\n").unwrap();
    let run = |command: &str, arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_scan-admission"));
        program::clean(&mut program);
        // Sets every variable in the help texts.
        for help in ["serve", "check", "review", "audit", "doctor"] {
            let help = self::program(&[help, "--help"]);
            for word in String::from_utf8(help.stdout).unwrap().split(|c: char| !c.is_ascii_uppercase() && c != '_') {
                if word.starts_with("SCAN_ADMISSION_") {
                    program.env(word, "");
                }
            }
        }
        assert!(program.get_envs().filter(|(_, value)| value.is_some()).count() > 20);
        program.arg(command).args(arguments).output().unwrap()
    };
    let checked = run("check", &[path.to_str().unwrap()]);
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
    // `serve` fails when it opens the port, after it has read all flags.
    let served = run("serve", &["--listen", "192.0.2.1:1"]);
    let errors = String::from_utf8(served.stderr).unwrap();
    assert!(errors.contains("--listen: ") && errors.contains("192.0.2.1:1"), "{errors}");
    let doctor = run("doctor", &["--kubeconfig", "/nowhere"]);
    let errors = String::from_utf8(doctor.stderr).unwrap();
    assert!(errors.contains("/nowhere"), "{errors}");
}

/// A file that would take unlimited time or memory fails quickly.
#[test]
fn an_alias_bomb_is_rejected() {
    let mut alias_bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let (name, before) = ((b'a' + level) as char, (b'a' + level - 1) as char);
        alias_bomb += &format!("{name}: &{name} [{}]\n", vec![format!("*{before}"); 10].join(", "));
    }
    assert!(Config::read(alias_bomb.as_bytes()).is_err());
    let writers = alias_bomb.replacen("a: &a", "statusWriters: &a", 1);
    assert!(Config::read(writers.as_bytes()).is_err());
    assert!(Config::read(format!("rules: {}", "[".repeat(100_000)).as_bytes()).is_err());
    assert!(Config::read("{a: ".repeat(100_000).as_bytes()).is_err());
}

#[test]
fn config_check_reports_the_errors_of_serve() {
    let folder = Folder::new();
    let path = folder.join("config.yaml");
    let name = path.to_str().unwrap();
    fs::write(&path, EXAMPLE_CONFIG).unwrap();
    let output = program(&["config", "check", name]);
    let digest = Config::read(EXAMPLE_CONFIG.as_bytes()).unwrap().settings.digest;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{name}: can be used, digest {digest}\n"));

    fs::write(&path, "rules:\n  phase-jump: of\n").unwrap();
    let fault = r#"Unsupported value: "of": supported values: "deny", "warn", "audit", "off"; did you mean "off"?"#;
    let wrong = |arguments: &[&str], words: String| {
        let output = program(arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors), (Some(2), format!("error: {words}\n")), "{arguments:?}");
        assert_eq!(output.stdout, b"");
    };
    wrong(&["config", "check", name], format!("{name}:2:15: {fault}"));
    for verb in ["serve", "review", "check"] {
        let words = format!("--config {name}: the file is invalid at line 2, column 15: {fault}");
        wrong(&[verb, "--config", name], words);
    }
    let none = folder.join("none").display().to_string();
    wrong(
        &["config", "check", &none],
        format!("FILE {none}: the file cannot be read: No such file or directory (os error 2)"),
    );
}

/// `review` and `check` must judge as the server does with this configuration.
#[test]
fn review_and_check_apply_a_configuration() {
    let folder = Folder::new();
    let write = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        folder.join(name).display().to_string()
    };
    let scan = write(
        "scan.yaml",
        "apiVersion: scanning.apps.tanzu.vmware.com/v1beta1\nkind: SourceScan\nmetadata: {name: a, namespace: dev-1}\n\
         spec: {scanTemplate: t, git: {url: 'https://example.com/a.git'}}\nstatus: {phase: Done}\n",
    );
    let mut review: Value =
        serde_json::from_slice(&fixtures::fixture("sourcescan-failed-5-completed.validate.json")).unwrap();
    review["request"]["object"]["status"]["phase"] = json!("Done");
    review["request"]["namespace"] = json!("dev-1");
    let review = write("review.json", &review.to_string());
    for (yaml, code, action) in [
        ("", 1, Some("deny")),
        ("overrides: [{namespaces: [prod], rules: {phase-unknown: off}}]", 1, Some("deny")),
        ("overrides: [{namespaces: [dev-*], rules: {phase-unknown: warn}}]", 0, Some("warn")),
        ("overrides: [{namespaces: [dev-*], rules: {phase-unknown: audit}}]", 0, Some("audit")),
        ("rules: {phase-unknown: off}", 0, None),
    ] {
        let config = write("config.yaml", yaml);
        let judged = program(&["review", "--config", &config, "-o", "json", &review]);
        let answer: Value = serde_json::from_slice(&judged.stdout).unwrap();
        assert_eq!(judged.status.code(), Some(code), "{yaml} {answer:#}");
        let digest = Config::read(yaml.as_bytes()).unwrap().settings.digest;
        assert_eq!(answer["response"]["auditAnnotations"]["config"], digest);

        let checked = program(&["check", "--config", &config, "-o", "json", &scan]);
        let found: Value = serde_json::from_slice(&checked.stdout).unwrap();
        let actions: Vec<_> = found["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["rule"] == "phase-unknown")
            .map(|finding| finding["action"].as_str().unwrap())
            .collect();
        assert_eq!(checked.status.code(), Some(code), "{yaml} {found:#}");
        assert_eq!(actions, action.into_iter().collect::<Vec<_>>(), "{yaml}");
    }
}

#[test]
fn the_schema_is_printed() {
    assert_eq!(program(&["config", "schema"]).stdout, schema().into_bytes());
}

/// Returns whether `value` matches `schema`. Supports only the keywords that our schema uses, without patterns.
fn is_valid(value: &Value, schema: &Value, root: &Value) -> bool {
    let of = |name: &str| schema.get(name).and_then(Value::as_array);
    if let Some(reference) = schema.get("$ref") {
        let pointer = reference.as_str().unwrap().strip_prefix('#').unwrap();
        return is_valid(value, root.pointer(pointer).unwrap(), root);
    }
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let has_type = schema.get("type").is_none_or(|due| match due {
        Value::Array(types) => types.contains(&json!(name)),
        due => *due == name,
    });
    let count = |any: &str| of(any).is_none_or(|all| all.iter().any(|one| is_valid(value, one, root)));
    let members = |members: &Map<String, Value>| {
        let of_member = |(key, member): (&String, &Value)| match schema["properties"].get(key) {
            Some(due) => is_valid(member, due, root),
            None => schema["additionalProperties"] != false,
        };
        members.iter().all(of_member)
            && of("required").into_iter().flatten().all(|due| members.contains_key(due.as_str().unwrap()))
    };
    let is_number = |number: f64| {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        bound("minimum").is_none_or(|least| number >= least) && bound("maximum").is_none_or(|most| number <= most)
    };
    has_type
        && count("anyOf")
        && count("oneOf")
        && schema.get("const").is_none_or(|due| value == due)
        && value.as_f64().is_none_or(is_number)
        && value.as_object().is_none_or(members)
        && value.as_array().is_none_or(|all| {
            all.len() as u64 >= schema["minItems"].as_u64().unwrap_or(0)
                && all.iter().all(|one| is_valid(one, &schema["items"], root))
        })
}

/// An editor must report the same errors as the program.
#[test]
fn the_schema_accepts_the_files_that_the_program_accepts() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let as_json = |text: &str| serde_saphyr::from_str::<Value>(text).unwrap_or_default();
    assert!(is_valid(&as_json(EXAMPLE_CONFIG), &schema, &schema));
    assert!(is_valid(&json!({}), &schema, &schema));
    let modes: Map<_, _> = RULES.iter().map(|rule| (rule.id.to_owned(), json!("audit"))).collect();
    assert!(is_valid(&json!({"rules": modes}), &schema, &schema));

    // A schema cannot express which members belong together, the format of a text, or duplicate members.
    let known = |words: &&(&str, &str)| {
        [
            "duplicate",
            "requires a list",
            "must have namespaces",
            "must set the mode",
            "Invalid value: \"",
            "unknown anchor",
            "unclosed",
            "tabs",
            "second document",
        ]
        .iter()
        .all(|part| !words.1.contains(part))
    };
    let wrong: Vec<_> = WRONG.iter().filter(known).collect();
    assert!(wrong.len() > 15, "{}", wrong.len());
    for (text, _) in wrong {
        assert!(!is_valid(&as_json(text), &schema, &schema), "{text}");
    }
    for limits in
        [json!({"connections": 0}), json!({"connections": "7"}), json!({"bodiesBytes": 7}), json!({"idle": 7})]
    {
        assert!(!is_valid(&json!({"limits": limits}), &schema, &schema), "{limits}");
    }
}
