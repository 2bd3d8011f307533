// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys in a TPM. It is swtpm's; keys are made in it by OpenSSL's provider for TPMs and by tpm2-tools.

use std::{
    fs,
    net::TcpListener,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use modsig_tools::keys;
use tempfile::TempDir;

use crate::common::*;

const PASSWORD: &str = "not for the log";

/// A TPM, and a directory in which keys are made.
struct Tpm {
    work: TempDir,
    process: Child,
    port: u16,
}

impl Drop for Tpm {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Two ports, one behind the other, that nobody has: a TPM's commands, and its switch.
fn ports() -> u16 {
    loop {
        let first = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

impl Tpm {
    fn new() -> Self {
        let work = tempfile::tempdir().unwrap();
        fs::create_dir(work.path().join("state")).unwrap();
        fs::write(work.path().join("m.ko"), MODULE).unwrap();
        let port = ports();
        let state = format!("dir={}/state", work.path().display());
        let process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .args(["--tpmstate", &state])
            .args(["--server", &format!("type=tcp,port={port}")])
            .args(["--ctrl", &format!("type=tcp,port={}", port + 1)])
            .stdin(Stdio::null())
            .stderr(fs::File::create(work.path().join("swtpm.log")).unwrap())
            .spawn()
            .unwrap_or_else(|error| panic!("swtpm: {error}; scripts/setup"));
        let tpm = Tpm {
            work,
            process,
            port,
        };
        let end = Instant::now() + Duration::from_secs(30);
        let is_up = || tpm.run("tpm2_getcap", &["properties-fixed"]).status;
        while !is_up().success() {
            assert!(Instant::now() < end, "swtpm does not come up");
            thread::sleep(Duration::from_millis(50));
        }
        tpm
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let tcti = format!("swtpm:host=127.0.0.1,port={}", self.port);
        command
            .args(arguments)
            .current_dir(self.work.path())
            .env("TPM2OPENSSL_TCTI", &tcti)
            .env("TPM2TOOLS_TCTI", &tcti)
            .env_remove("OPENSSL_CONF")
            .env_remove(keys::PIN_VARIABLE)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        self.command(program, arguments).output().unwrap()
    }

    /// Runs OpenSSL with the provider.
    fn openssl(&self, arguments: &str) {
        let (command, rest) = arguments.split_once(' ').unwrap();
        let providers = "-provider tpm2 -provider default -propquery ?provider=tpm2";
        let words = providers.split(' ').chain(rest.split(' '));
        let words: Vec<&str> = [command].into_iter().chain(words).collect();
        good(&self.run("openssl", &words));
    }

    /// A key file NAME.pem, and its certificate NAME.crt.
    fn key(&self, name: &str, algorithm: &str) {
        self.openssl(&format!("genpkey -algorithm {algorithm} -out {name}.pem"));
        self.certificate(&format!("{name}.pem"), name, "");
    }

    fn certificate(&self, key: &str, name: &str, options: &str) {
        let leaf = "basicConstraints=critical,CA:FALSE";
        self.openssl(&format!(
            "req -new -x509 -sha256 -key {key} -subj /CN={name} -addext {leaf} -out {name}.crt{options}"
        ));
    }

    fn sign(&self, password: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = self.command(MODSIG, &[&["sign"], arguments, &["m.ko"]].concat());
        if let Some(password) = password {
            command.env(keys::PIN_VARIABLE, password);
        }
        let output = command.output().unwrap();
        for text in [&output.stdout, &output.stderr] {
            let text = String::from_utf8_lossy(text);
            assert!(!text.contains(PASSWORD), "{text}");
        }
        output
    }

    /// What was signed is good, for this certificate and digest; it is unsigned afterwards.
    fn signed_by(&self, certificate: &str, algorithm: &str) {
        let verify = ["verify", "--cert", certificate, "m.ko"];
        says(&modsig(&self.work, &verify), algorithm);
        good(&modsig(&self.work, &["strip", "m.ko"]));
        self.untouched();
    }

    fn untouched(&self) {
        assert_eq!(module(&self.work), MODULE);
    }

    /// What is left in the TPM's few places for keys.
    fn loaded(&self) -> String {
        let output = self.run("tpm2_getcap", &["handles-transient"]);
        good(&output);
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn key_files_of_a_tpm_sign_without_any_configuration() {
    let tpm = Tpm::new();
    tpm.key("rsa", "RSA -pkeyopt bits:2048");
    tpm.key("ec", "EC -pkeyopt group:P-256");
    for (name, algorithm) in [("rsa", "rsa"), ("ec", "ecdsa")] {
        let (key, certificate) = (format!("{name}.pem"), format!("{name}.crt"));
        for hash in ["sha256", "sha384", "sha512"] {
            let sign = ["--key", &key, "--cert", &certificate, "--hash", hash];
            let output = tpm.sign(None, &sign);
            good(&output);
            assert!(output.stderr.is_empty(), "{output:?}");
            tpm.signed_by(&certificate, &format!("{algorithm}/{hash}"));
        }
        assert_eq!(tpm.loaded(), "");
        // A digest that it has not is found before a module is touched.
        let sign = ["--key", &key, "--cert", &certificate, "--hash", "sha3-256"];
        let none = "for another digest: most have SHA-256 (--hash sha256)";
        fails(&tpm.sign(None, &sign), 2, none);
    }
    // In DER, as a URI, by the kernel's program's name, and with the certificate behind the key.
    let text = fs::read_to_string(tpm.work.path().join("ec.pem")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("--"));
    let der = openssl::base64::decode_block(&lines.collect::<String>()).unwrap();
    fs::write(tpm.work.path().join("ec.der"), der).unwrap();
    let both = [read(&tpm.work, "ec.pem"), read(&tpm.work, "ec.crt")].concat();
    fs::write(tpm.work.path().join("both.pem"), both).unwrap();
    for sign in [
        &["--key", "ec.der", "--cert", "ec.crt"][..],
        &["--key", "file:ec.pem", "--cert", "ec.crt"],
        &["--key", "both.pem"],
    ] {
        good(&tpm.sign(None, sign));
        tpm.signed_by("ec.crt", "ecdsa/sha512");
    }
    good(&tpm.run(SIGN_FILE, &["sha256", "rsa.pem", "rsa.crt", "m.ko"]));
    tpm.signed_by("rsa.crt", "rsa/sha256");
    // The certificate of the other one.
    let wrong = ["--key", "ec.pem", "--cert", "rsa.crt"];
    fails(&tpm.sign(None, &wrong), 2, "do not belong together");
    tpm.untouched();
}

#[test]
fn a_provider_that_openssl_s_configuration_activates_is_no_hindrance() {
    let tpm = Tpm::new();
    tpm.key("ec", "EC -pkeyopt group:P-256");
    tpm.key("rsa", "RSA -pkeyopt bits:2048");
    let base =
        "openssl_conf = i\n[i]\nproviders = p\nalg_section = a\n[p]\ndefault = d\ntpm2 = d\n\
         [d]\nactivate = 1\n[a]\n";
    fs::write(tpm.work.path().join("o.cnf"), base).unwrap();
    let sign = |name: &str| {
        let (key, certificate) = (format!("{name}.pem"), format!("{name}.crt"));
        let sign = ["sign", "--key", &key, "--cert", &certificate, "m.ko"];
        let mut command = tpm.command(MODSIG, &sign);
        command.env("OPENSSL_CONF", "o.cnf").output().unwrap()
    };
    // The second is what other programs need: all is the TPM's then, as far as it can.
    let properties = "default_properties = ?provider=tpm2,tpm2.digest!=yes\n";
    for properties in ["", properties] {
        fs::write(tpm.work.path().join("o.cnf"), [base, properties].concat()).unwrap();
        for name in ["ec", "rsa"] {
            good(&sign(name));
            tpm.signed_by(&format!("{name}.crt"), "sha512");
        }
        // Keys in files, and signatures by them, are no business of the TPM.
        let with_it = |arguments: &[&str]| {
            let mut command = tpm.command(MODSIG, arguments);
            command.env("OPENSSL_CONF", "o.cnf").output().unwrap()
        };
        let keygen = [
            "keygen",
            "--force",
            "--algorithm",
            "p256",
            "--key",
            "k.pem",
            "--cert",
        ];
        good(&with_it(&[&keygen[..], &["c.pem"]].concat()));
        let key = String::from_utf8(read(&tpm.work, "k.pem")).unwrap();
        assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"), "{key}");
        good(&with_it(&SIGN));
        good(&with_it(&VERIFY));
        tpm.signed_by("c.pem", "ecdsa/sha512");
    }
}

#[test]
fn persistent_keys_are_named_by_handle_or_object() {
    let tpm = Tpm::new();
    let tools = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        good(&tpm.run(words[0], &words[1..]));
    };
    tools("tpm2_createprimary -Q -C o -G rsa -c primary");
    for (number, scheme, password) in [("1", "ecc", ""), ("2", "ecc:ecdsa-sha256", " -p pw")] {
        tools("tpm2_flushcontext -t");
        tools(&format!(
            "tpm2_create -Q -C primary -G {scheme} -u u -r r{password} -a \
             fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
        ));
        tools("tpm2_flushcontext -t");
        tools("tpm2_load -Q -C primary -u u -r r -c key");
        tools(&format!(
            "tpm2_evictcontrol -Q -C o -c key -o object{number} 0x8100010{number}"
        ));
    }
    tools("tpm2_flushcontext -t");
    tpm.certificate("handle:0x81000101", "open", "");
    tpm.certificate("handle:0x81000102?pass", "shut", " -passin pass:pw");

    for key in ["handle:0x81000101", "object:object1", "HANDLE:81000101"] {
        good(&tpm.sign(None, &["--key", key, "--cert", "open.crt"]));
        tpm.signed_by("open.crt", "ecdsa/sha512");
    }
    let sha256 = ["--cert", "shut.crt", "--hash", "sha256", "--key"];
    fs::write(tpm.work.path().join("file"), "pw\n").unwrap();
    for key in ["handle:0x81000102?pass", "object:object2?pass"] {
        good(&tpm.sign(Some("pw"), &[&sha256[..], &[key]].concat()));
        tpm.signed_by("shut.crt", "ecdsa/sha256");
        let from_file = [&sha256[..], &[key, "--passphrase-file", "file"]].concat();
        good(&tpm.sign(None, &from_file));
        tpm.signed_by("shut.crt", "ecdsa/sha256");
    }
    let sign = |key: &str, more: &[&str], password| {
        let arguments = [&["--cert", "shut.crt", "--key", key], more].concat();
        tpm.sign(password, &arguments)
    };
    let sha256 = ["--hash", "sha256"];
    let key = "handle:0x81000102?pass";
    // This key is for SHA-256 only.
    let only = "the TPM, or this key, may be for another digest: most have SHA-256 (--hash sha256)";
    fails(&sign(key, &[], Some("pw")), 2, only);
    let wrong = "the password is wrong";
    fails(&sign(key, &sha256, Some(PASSWORD)), 2, wrong);
    let without = "needed only with ?pass at the end of the URI";
    fails(&sign("handle:0x81000102", &sha256, Some("pw")), 2, without);
    let unasked = "give its password with --passphrase-file";
    fails(&sign(key, &sha256, None), 2, unasked);
    for (key, message) in [
        (
            "handle:0x81000999",
            "the TPM has no such key, or did not load it",
        ),
        ("handle:x", "cannot be opened in the TPM"),
        ("object:none", "cannot be opened in the TPM"),
        ("store:x", "no file of this name, and no provider"),
    ] {
        let message = format!("{key}: {message}");
        fails(&sign(key, &[], None), 2, &message);
    }
    tpm.untouched();
}

#[test]
fn a_key_file_s_password_comes_as_any_other() {
    let tpm = Tpm::new();
    tpm.openssl("genpkey -algorithm EC -pkeyopt group:P-256 -pkeyopt user-auth:secret -out k.pem");
    tpm.certificate("k.pem", "k", " -passin pass:secret");
    let key = ["--key", "k.pem", "--cert", "k.crt"];
    good(&tpm.sign(Some("secret"), &key));
    tpm.signed_by("k.crt", "ecdsa/sha512");
    fails(&tpm.sign(Some(PASSWORD), &key), 2, "the password is wrong");
    let unasked = "k.pem: the TPM wants the key's password";
    fails(&tpm.sign(None, &key), 2, unasked);
    // It would lock itself, and says so.
    let tries = [
        "--setup-parameters",
        "--max-tries=1",
        "--recovery-time=1000",
    ];
    good(&tpm.run("tpm2_dictionarylockout", &tries));
    fails(&tpm.sign(Some(PASSWORD), &key), 2, "the TPM does not sign");
    fails(
        &tpm.sign(Some("secret"), &key),
        2,
        "too many wrong passwords",
    );
    tpm.untouched();
}

#[test]
fn what_is_missing_is_named() {
    let tpm = Tpm::new();
    tpm.key("ec", "EC -pkeyopt group:P-256");
    let sign = ["sign", "--key", "ec.pem", "--cert", "ec.crt", "m.ko"];
    let with = |variable: &str, value: &str| {
        let mut command = tpm.command(MODSIG, &sign);
        command.env(variable, value).output().unwrap()
    };
    let none = with("OPENSSL_MODULES", "/none");
    let missing = "ec.pem: a key in a TPM, and OpenSSL's provider for TPMs cannot be loaded";
    fails(&none, 2, missing);
    fails(&none, 2, "install the package tpm2-openssl");
    let none = with("TPM2OPENSSL_TCTI", "device:/none");
    let missing = "ec.pem: a key in a TPM, and the TPM cannot be reached";
    fails(&none, 2, missing);
    // Another TPM cannot load it.
    let other = Tpm::new();
    let tcti = format!("swtpm:host=127.0.0.1,port={}", other.port);
    let foreign =
        "a key that was made for another TPM, or before this one was cleared, cannot be loaded";
    fails(&with("TPM2OPENSSL_TCTI", &tcti), 2, foreign);
    tpm.untouched();
}

#[test]
fn a_tpm_signs_for_many_threads() {
    let tpm = Tpm::new();
    tpm.key("ec", "EC -pkeyopt group:P-256");
    fs::create_dir(tpm.work.path().join("tree")).unwrap();
    for number in 0..40 {
        let content = [MODULE, &[number]].concat();
        fs::write(tpm.work.path().join(format!("tree/{number}.ko")), content).unwrap();
    }
    // It does one thing at a time, whatever is asked for.
    let sign = [
        "--key",
        "ec.pem",
        "--cert",
        "ec.crt",
        "--jobs",
        "8",
        "--token-sessions",
        "8",
        "tree",
    ];
    says(&tpm.sign(None, &sign), "41 signed");
    let verify = ["verify", "--cert", "ec.crt", "tree"];
    says(&modsig(&tpm.work, &verify), "40 good");
}
