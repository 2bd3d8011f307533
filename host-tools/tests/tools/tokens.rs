// SPDX-License-Identifier: MIT OR Apache-2.0

//! Keys and where their secrets come from: files, and tokens. The token is SoftHSM's, reached by
//! OpenSSL's own PKCS#11 provider.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::{symlink, PermissionsExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    sync::{Mutex, OnceLock},
    thread,
    time::{Duration, Instant},
};

use modsig_tools::{
    certificate::SignerIdForm,
    digest::digest_by_name,
    keys::{self, SigningKey},
    signer::Signer,
};
use openssl::{pkey::PKey, x509::X509};
use tempfile::TempDir;

use crate::common::*;

const PIN: &str = "87263541";
const WRONG: &str = "19283746";
const HSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const REFUSED: &str = "the token has refused the PIN; it was given once only";

/// Where OpenSSL finds the provider.
fn provider() -> &'static Path {
    static PROVIDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    PROVIDER.get_or_init(|| script("get/pkcs11-provider", &[]))
}

/// A token with an RSA-4096 and a P-384 key and their certificates, which are in files as well.
struct Token {
    work: TempDir,
}

impl Token {
    /// Makes one; keys take long, so they are made once and written to each.
    fn new() -> Self {
        let token = Token {
            work: tempfile::tempdir().unwrap(),
        };
        fs::create_dir(token.work.path().join("tokens")).unwrap();
        let configuration = format!(
            "directories.tokendir = {}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n",
            token.work.path().display()
        );
        fs::write(token.work.path().join("softhsm2.conf"), configuration).unwrap();
        token.add("modsig", PIN);
        for (id, name) in [("01", "rsa"), ("02", "ec")] {
            let (key, certificate) = made(name);
            fs::write(token.work.path().join(format!("{name}.pem")), certificate).unwrap();
            fs::write(token.work.path().join("key.pem"), key).unwrap();
            token.import("key.pem", "privkey", id, name);
            token.import(&format!("{name}.pem"), "cert", id, name);
            fs::remove_file(token.work.path().join("key.pem")).unwrap();
        }
        fs::write(token.work.path().join("m.ko"), MODULE).unwrap();
        token
    }

    /// One more in another slot, with nothing on it.
    fn add(&self, label: &str, pin: &str) {
        let arguments = [
            "--init-token",
            "--free",
            "--label",
            label,
            "--pin",
            pin,
            "--so-pin",
            "5678",
        ];
        good(&self.command("softhsm2-util", &arguments).output().unwrap());
    }

    fn import(&self, file: &str, kind: &str, id: &str, label: &str) {
        self.import_with(file, kind, id, label, &[]);
    }

    fn import_with(&self, file: &str, kind: &str, id: &str, label: &str, options: &[&str]) {
        let der = format!("{file}.der");
        let convert: &[&str] = match kind {
            "cert" => &["x509", "-in", file, "-outform", "DER", "-out", &der],
            _ => &["pkey", "-in", file, "-outform", "DER", "-out", &der],
        };
        good(&self.command("openssl", convert).output().unwrap());
        let write = [
            "--module",
            HSM,
            "--token-label",
            "modsig",
            "--login",
            "--pin",
            PIN,
            "--write-object",
            &der,
            "--type",
            kind,
            "--id",
            id,
            "--label",
            label,
            "--usage-sign",
        ];
        let write = [&write[..], options].concat();
        good(&self.command("pkcs11-tool", &write).output().unwrap());
        fs::remove_file(self.work.path().join(der)).unwrap();
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.work.path())
            .env("SOFTHSM2_CONF", self.work.path().join("softhsm2.conf"))
            .env("OPENSSL_MODULES", provider())
            .env("PKCS11_PROVIDER_MODULE", HSM)
            .env_remove(keys::PIN_VARIABLE)
            .stdin(Stdio::null());
        command
    }

    /// Signs m.ko. Whatever comes of it, the PIN is nowhere in the output.
    fn sign(&self, pin: Option<&str>, arguments: &[&str]) -> Output {
        let mut command = self.command(MODSIG, &[&["sign"], arguments, &["m.ko"]].concat());
        if let Some(pin) = pin {
            command.env(keys::PIN_VARIABLE, pin);
        }
        without_secret(command.output().unwrap())
    }

    fn untouched(&self) {
        assert_eq!(module(&self.work), MODULE);
    }
}

/// Name, private key, certificate.
type Made = (String, Vec<u8>, Vec<u8>);

/// A private key (PEM) and its certificate, the same for all tests of a run.
fn made(name: &str) -> (Vec<u8>, Vec<u8>) {
    static MADE: Mutex<Vec<Made>> = Mutex::new(vec![]);
    let mut made = MADE.lock().unwrap();
    if let Some((_, key, certificate)) = made.iter().find(|(other, ..)| other == name) {
        return (key.clone(), certificate.clone());
    }
    let work = set_up(match name {
        "rsa" => "rsa-4096",
        _ => "p384",
    });
    let (key, certificate) = (read(&work, "k.pem"), read(&work, "c.pem"));
    made.push((name.to_owned(), key.clone(), certificate.clone()));
    (key, certificate)
}

fn without_secret(output: Output) -> Output {
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(PIN) && !text.contains(WRONG), "{text}");
    }
    output
}

fn uri(name: &str) -> String {
    format!("pkcs11:token=modsig;object={name}")
}

#[test]
fn a_key_on_a_token_signs_what_openssl_and_we_verify() {
    let token = Token::new();
    for name in ["rsa", "ec"] {
        let certificate = format!("{name}.pem");
        // As the kernel's CONFIG_MODULE_SIG_KEY: one URI for both. And with a file.
        for certificate_given in [&uri(name), &certificate] {
            for hash in ["sha256", "sha384", "sha512", "sha3-512"] {
                let sign = [
                    "--key",
                    &uri(name),
                    "--cert",
                    certificate_given,
                    "--hash",
                    hash,
                ];
                good(&token.sign(Some(PIN), &sign));
                good(&modsig(
                    &token.work,
                    &["verify", "--cert", &certificate, "m.ko"],
                ));
            }
        }
        good(&modsig(&token.work, &["strip", "m.ko"]));
        let detached = ["--key", &uri(name), "--cert", &certificate, "--detached"];
        good(&token.sign(Some(PIN), &detached));
        let verify = [
            "cms",
            "-verify",
            "-binary",
            "-inform",
            "DER",
            "-in",
            "m.ko.p7s",
            "-content",
            "m.ko",
            "-certfile",
            &certificate,
            "-noverify",
            "-out",
            "/dev/null",
        ];
        good(&run(&token.work, "openssl", &verify));
        // Nothing is left to chance with RSA: the token signs what a key in a file does.
        if name == "rsa" {
            let on_token = read(&token.work, "m.ko.p7s");
            fs::write(token.work.path().join("k.pem"), made(name).0).unwrap();
            let operands = ["-d", "sha512", "k.pem", &certificate, "m.ko"];
            good(&run(&token.work, SIGN_FILE, &operands));
            assert_eq!(read(&token.work, "m.ko.p7s"), on_token);
        }
        token.untouched();
    }
}

#[test]
fn sign_file_takes_tokens_too() {
    let token = Token::new();
    let operands = ["sha512", &uri("ec"), "ec.pem", "m.ko"];
    let mut command = token.command(SIGN_FILE, &operands);
    good(&without_secret(
        command.env(keys::PIN_VARIABLE, PIN).output().unwrap(),
    ));
    good(&modsig(
        &token.work,
        &["verify", "--cert", "ec.pem", "m.ko"],
    ));
    // A certificate for verify may be there as well, and needs no PIN.
    let mut verify = token.command(MODSIG, &["verify", "--cert", &uri("ec"), "m.ko"]);
    good(&verify.output().unwrap());
}

#[test]
fn openssl_s_configuration_may_say_where_things_are() {
    let token = Token::new();
    for activate in ["", "activate = 1\n"] {
        let configuration = format!(
            "openssl_conf = init\n[init]\nproviders = providers\n[providers]\n\
             default = here\npkcs11 = token\n[here]\nactivate = 1\n[token]\n\
             module = {}/pkcs11.so\npkcs11-module-path = {HSM}\n{activate}",
            provider().display()
        );
        fs::write(token.work.path().join("openssl.cnf"), configuration).unwrap();
        let arguments = ["sign", "--key", &uri("ec"), "--cert", "ec.pem", "m.ko"];
        let mut command = token.command(MODSIG, &arguments);
        command
            .env("OPENSSL_CONF", token.work.path().join("openssl.cnf"))
            .env(keys::PIN_VARIABLE, PIN)
            .env_remove("OPENSSL_MODULES")
            .env_remove("PKCS11_PROVIDER_MODULE");
        good(&without_secret(command.output().unwrap()));
        good(&modsig(
            &token.work,
            &["verify", "--cert", "ec.pem", "m.ko"],
        ));
    }
}

#[test]
fn the_pin_comes_from_a_file_or_the_uri_as_well() {
    let token = Token::new();
    let pin = token.work.path().join("pin");
    fs::write(&pin, format!("{PIN}\nnot this\n")).unwrap();
    fs::set_permissions(&pin, fs::Permissions::from_mode(0o600)).unwrap();
    let (key, named) = (uri("ec"), format!("{}?pin-value={PIN}", uri("ec")));
    let sourced = format!("{key}?pin-source=file:{}", pin.display());
    let from_file = [
        "--key",
        &key,
        "--cert",
        "ec.pem",
        "--passphrase-file",
        "pin",
    ];
    let output = token.sign(None, &from_file);
    good(&output);
    assert!(output.stderr.is_empty(), "{output:?}");
    // The file counts for more than the environment.
    good(&token.sign(Some(WRONG), &from_file));
    good(&token.sign(None, &["--key", &named, "--cert", "ec.pem"]));
    good(&token.sign(None, &["--key", &sourced, "--cert", "ec.pem"]));
}

#[test]
fn a_wrong_pin_is_tried_once_and_leaves_the_files() {
    let token = Token::new();
    let named = format!("{}?pin-value={WRONG}", uri("ec"));
    let key = ["--key", &uri("ec"), "--cert", "ec.pem"];
    fails(&token.sign(Some(WRONG), &key), 2, REFUSED);
    fails(
        &token.sign(None, &["--key", &named, "--cert", "ec.pem"]),
        2,
        REFUSED,
    );
    fails(
        &token.sign(Some(&"1".repeat(100)), &key),
        2,
        "longer than a token takes",
    );
    fails(
        &token.sign(None, &key),
        2,
        "the token wants a PIN; give its PIN with --passphrase-file or in KBUILD_SIGN_PIN",
    );
    fails(
        &token.sign(None, &[&key[..], &["--passphrase-file", "none"]].concat()),
        2,
        "none: cannot read the passphrase",
    );
    fs::write(token.work.path().join("empty"), "\n").unwrap();
    fails(
        &token.sign(None, &[&key[..], &["--passphrase-file", "empty"]].concat()),
        2,
        "empty: its first line is empty",
    );
    token.untouched();
    // What the token has counted is reset by the right one.
    good(&token.sign(Some(PIN), &key));
}

#[test]
fn a_key_that_wants_its_pin_each_time_gets_it() {
    let token = Token::new();
    let (key, _) = made("ec");
    fs::write(token.work.path().join("key.pem"), key).unwrap();
    token.import_with("key.pem", "privkey", "03", "always", &["--always-auth"]);
    fs::write(token.work.path().join("n.ko"), MODULE).unwrap();
    let key = uri("always");
    let sign = ["--key", &key, "--cert", "ec.pem", "n.ko"];
    let output = token.sign(Some(PIN), &sign);
    says(&output, "2 signed");
    let verify = ["verify", "--cert", "ec.pem", "m.ko", "n.ko"];
    says(&modsig(&token.work, &verify), "2 good");
    good(&modsig(&token.work, &["strip", "m.ko", "n.ko"]));
    // The PIN is still given once only.
    fails(&token.sign(Some(WRONG), &sign), 2, REFUSED);
    // From a URI the provider does not keep it, and what openssl.cnf says counts more.
    let named = format!("{key}?pin-value={PIN}");
    let in_uri = ["--key", &named, "--cert", "ec.pem"];
    let why = "give the PIN in KBUILD_SIGN_PIN or --passphrase-file, not in the URI";
    fails(&token.sign(None, &in_uri), 2, why);
    let configuration = format!(
        "openssl_conf = i\n[i]\nproviders = p\n[p]\ndefault = d\npkcs11 = t\n[d]\nactivate = 1\n\
         [t]\npkcs11-module-path = {HSM}\n"
    );
    for (line, good_exit) in [("", false), ("pkcs11-module-cache-pins = cache\n", true)] {
        let text = [&configuration, line].concat();
        fs::write(token.work.path().join("openssl.cnf"), text).unwrap();
        let arguments = [&["sign"], &sign[..], &["m.ko"]].concat();
        let mut command = token.command(MODSIG, &arguments);
        command
            .env("OPENSSL_CONF", "openssl.cnf")
            .env(keys::PIN_VARIABLE, PIN);
        let output = without_secret(command.output().unwrap());
        match good_exit {
            true => says(&output, "2 signed"),
            false => fails(&output, 2, "add pkcs11-module-cache-pins = cache there"),
        }
    }
}

/// A card may want a touch for each signature, and takes a second for it.
#[test]
fn a_token_is_asked_once_for_a_release() {
    let token = Token::new();
    fs::create_dir(token.work.path().join("lib")).unwrap();
    for n in 0..5 {
        let content = [MODULE, &[n]].concat();
        fs::write(token.work.path().join(format!("lib/{n}.ko")), content).unwrap();
    }
    // OpenSC's library, which stands between the token and who uses it, and writes down each call.
    let spy = installed("pkcs11-spy.so", "opensc-pkcs11");
    let log = token.work.path().join("spy.log");
    let asked = |arguments: &[&str]| {
        let _ = fs::remove_file(&log);
        let key = ["--key", &uri("rsa"), "--cert", "rsa.pem"];
        let mut command = token.command(MODSIG, &[arguments, &key].concat());
        command
            .env("PKCS11_PROVIDER_MODULE", &spy)
            .env("PKCS11SPY", HSM)
            .env("PKCS11SPY_OUTPUT", &log)
            .env(keys::PIN_VARIABLE, PIN);
        let output = without_secret(command.output().unwrap());
        good(&output);
        let calls = fs::read_to_string(&log).unwrap();
        let starts = calls.lines().filter(|line| line.ends_with(": C_SignInit"));
        (starts.count(), String::from_utf8(output.stdout).unwrap())
    };
    // Each by itself, and one that shows that the key is the certificate's.
    assert_eq!(asked(&["sign", "lib"]).0, 6);
    let release = ["sign", "--release", "lib"];
    assert_eq!(asked(&release), (1, "5 signed again\n".to_owned()));
    let verify = ["verify", "--cert", "rsa.pem", "lib"];
    says(&modsig(&token.work, &verify), "5 good");
    // There is the signature already.
    let missing = [&release[..], &["--only-missing"]].concat();
    assert_eq!(asked(&missing), (0, "5 signed before\n".to_owned()));
    fs::write(token.work.path().join("lib/2.ko"), [MODULE, &[2]].concat()).unwrap();
    let (count, text) = asked(&missing);
    assert_eq!((count, &*text), (0, "1 signed, 4 signed before\n"));
    // Where the modules are not, too.
    let manifest = ["sign", "--release", "--manifest", "list", "lib"];
    good(&modsig(&token.work, &manifest));
    let from = ["sign", "--from-manifest", "list", "--dest-dir", "."];
    assert_eq!(asked(&from).0, 1);
    let attach = ["attach", "--release", "list", "--cert", "rsa.pem", "lib"];
    // With RSA, it is the same signature.
    says(&modsig(&token.work, &attach), "5 attached before");
    // A dry run tries the key.
    assert_eq!(asked(&[&release[..], &["--dry-run"]].concat()).0, 1);
}

#[test]
fn a_token_that_is_not_the_certificates_signs_no_release() {
    let token = Token::new();
    let sign = ["--release", "--key", &uri("rsa"), "--cert", "ec.pem"];
    fails(&token.sign(Some(PIN), &sign), 2, "do not belong together");
    token.untouched();
}

/// The other machine: `p11-kit server`, which lends the token to whoever opens its socket.
struct OtherMachine {
    process: Child,
    socket: PathBuf,
}

impl OtherMachine {
    fn new(token: &Token) -> Self {
        let socket = token.work.path().join("socket");
        let name = socket.to_str().unwrap();
        let serve = [
            "server",
            "--foreground",
            "--name",
            name,
            "--provider",
            HSM,
            "pkcs11:token=modsig",
        ];
        let process = token
            .command("p11-kit", &serve)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let end = Instant::now() + Duration::from_secs(30);
        while !socket.exists() {
            assert!(Instant::now() < end, "p11-kit server does not come up");
            thread::sleep(Duration::from_millis(20));
        }
        OtherMachine { process, socket }
    }

    /// A command of this machine, which has no token, but the socket.
    fn command(&self, token: &Token, arguments: &[&str]) -> Command {
        let mut command = token.command(MODSIG, arguments);
        command
            .env_remove("SOFTHSM2_CONF")
            .env("PKCS11_PROVIDER_MODULE", client())
            .env(
                "P11_KIT_SERVER_ADDRESS",
                format!("unix:path={}", self.socket.display()),
            )
            .env(keys::PIN_VARIABLE, PIN);
        command
    }

    /// It goes away, with all that it has begun for others.
    fn end(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.process.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        for child in children.split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", child]).status();
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for OtherMachine {
    fn drop(&mut self) {
        self.end();
    }
}

/// A PKCS#11 module of another package, where that has put it.
fn installed(name: &str, package: &str) -> PathBuf {
    let directories = [
        format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH),
        "/usr/lib64".to_owned(),
        "/usr/lib".to_owned(),
    ];
    let mut all = directories
        .iter()
        .map(|directory| Path::new(directory).join("pkcs11").join(name));
    all.find(|module| module.exists())
        .unwrap_or_else(|| panic!("{name}, of the package {package}"))
}

/// The PKCS#11 module that speaks to such a socket.
fn client() -> PathBuf {
    installed("p11-kit-client.so", "p11-kit-modules")
}

#[test]
fn a_token_may_be_in_another_machine() {
    let token = Token::new();
    let mut other = OtherMachine::new(&token);
    for name in ["ec", "rsa"] {
        let (key, certificate) = (uri(name), format!("{name}.pem"));
        for cert in [&key, &certificate] {
            let sign = ["sign", "--key", &key, "--cert", cert, "m.ko"];
            let output = other.command(&token, &sign).output().unwrap();
            good(&without_secret(output));
            good(&modsig(
                &token.work,
                &["verify", "--cert", &certificate, "m.ko"],
            ));
            good(&modsig(&token.work, &["strip", "m.ko"]));
        }
    }
    let key = uri("ec");
    let sign = ["sign", "--key", &key, "--cert", "ec.pem", "m.ko"];
    let mut wrong = other.command(&token, &sign);
    wrong.env(keys::PIN_VARIABLE, WRONG);
    fails(&without_secret(wrong.output().unwrap()), 2, REFUSED);
    other.end();
    let gone = other.command(&token, &sign).output().unwrap();
    fails(&without_secret(gone), 2, "cannot reach any token");
    token.untouched();
}

#[test]
fn a_token_that_goes_away_is_not_asked_for_each_module() {
    let token = Token::new();
    let mut other = OtherMachine::new(&token);
    fs::create_dir(token.work.path().join("tree")).unwrap();
    const MODULES: usize = 3000;
    for number in 0..MODULES {
        let content = [MODULE, &number.to_le_bytes()].concat();
        fs::write(token.work.path().join(format!("tree/{number}.ko")), content).unwrap();
    }
    let key = uri("rsa");
    for jobs in ["1", "8"] {
        let sign = [
            "sign",
            "--key",
            &key,
            "--cert",
            "rsa.pem",
            "--no-sync",
            "--only-missing",
            "--verbose",
            "--jobs",
            jobs,
            "tree",
        ];
        let mut child = other
            .command(&token, &sign)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Until some are signed.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut signed = 0;
        while signed < 20 {
            signed += usize::from(lines.next().unwrap().unwrap().ends_with(": signed"));
        }
        other.end();
        let rest: Vec<String> = lines.map(Result::unwrap).collect();
        signed += rest
            .iter()
            .filter(|line| line.ends_with(": signed"))
            .count();
        let output = child.wait_with_output().unwrap();
        fails(&output, 1, "the token has failed 3 times in a row");
        let text = String::from_utf8(output.stderr).unwrap();
        // Three, and those that were on their way meanwhile.
        let failed = text.lines().count() - 1;
        assert!((3..=3 + 8).contains(&failed), "{text}");
        let last = text.lines().last().unwrap();
        assert!(
            last.starts_with("modsig: stopped, for the token has gone; ")
                && last.ends_with(" modules are as they were"),
            "{text}"
        );
        // What is said is what was done.
        let verify = ["verify", "--json", "--cert", "rsa.pem", "tree"];
        let report = modsig(&token.work, &verify).stdout;
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        assert_eq!(report["counts"]["good"], signed, "{text}");
        assert!(rest.last().unwrap().contains(" signed"), "{rest:?}");
        other = OtherMachine::new(&token);
        good(&modsig(&token.work, &["strip", "--no-sync", "tree"]));
    }
}

#[test]
fn nobody_takes_standard_input_for_a_pin() {
    let token = Token::new();
    let arguments = [
        "sign",
        "--key",
        &uri("ec"),
        "--cert",
        "ec.pem",
        "--files-from",
        "-",
    ];
    let mut child = token
        .command(MODSIG, &arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // It may be gone before all is written.
    let _ = writeln!(input, "{PIN}\nm.ko");
    drop(input);
    let output = without_secret(child.wait_with_output().unwrap());
    fails(&output, 2, "the token wants a PIN");
    assert!(!String::from_utf8_lossy(&output.stderr).contains("Enter PIN"));
    token.untouched();
}

#[test]
fn what_is_not_there_is_said_before_a_file_is_touched() {
    let token = Token::new();
    // Of the same kind, and of another key.
    let other = set_up("p384");
    fs::copy(
        other.path().join("c.pem"),
        token.work.path().join("other.pem"),
    )
    .unwrap();
    let sign = |key: &str, certificate: &str| {
        token.sign(Some(PIN), &["--key", key, "--cert", certificate])
    };
    let ec = uri("ec");
    for (key, certificate, message) in [
        (&uri("rsa")[..], "ec.pem", "do not belong together"),
        (&ec, "rsa.pem", "do not belong together"),
        (&ec, "other.pem", "do not belong together"),
        (
            &uri("none"),
            "ec.pem",
            "no private key like this, but 2 other(s)",
        ),
        ("pkcs11:token=none;object=ec", "ec.pem", "no such token"),
        (
            "pkcs11:token=modsig",
            "ec.pem",
            "2 private keys match; name one with object= or id=",
        ),
        (&ec, &uri("none"), "no certificate like this on any token"),
        (&ec, "pkcs11:token=modsig", "several certificates match"),
    ] {
        fails(&sign(key, certificate), 2, message);
    }
    let with = |variable: &str, value: &str| {
        let arguments = ["sign", "--key", &ec, "--cert", "ec.pem", "m.ko"];
        let mut command = token.command(MODSIG, &arguments);
        command.env(variable, value).env(keys::PIN_VARIABLE, PIN);
        without_secret(command.output().unwrap())
    };
    fails(
        &with("PKCS11_PROVIDER_MODULE", "/none.so"),
        2,
        "set PKCS11_PROVIDER_MODULE",
    );
    fails(
        &with("OPENSSL_MODULES", "/none"),
        2,
        "install the package pkcs11-provider",
    );
    // Secret or not, a PIN in a URI is not shown where it does not work.
    let output = sign(
        &format!("pkcs11:token=none;object=ec?pin-value={PIN}"),
        "ec.pem",
    );
    fails(&output, 2, "object=ec?pin-value=...: no such token");
    token.untouched();
}

/// Whether one of the tokens was given a wrong PIN, and so may lock itself soon.
fn a_token_was_refused(token: &Token) -> bool {
    let slots = ["--module", HSM, "--list-slots"];
    let output = token.command("pkcs11-tool", &slots).output().unwrap();
    good(&output);
    String::from_utf8_lossy(&output.stdout).contains("user PIN count low")
}

#[test]
fn the_pin_is_for_the_token_that_is_named() {
    let token = Token::new();
    token.add("other", WRONG);
    for _ in 0..3 {
        let sign = ["--key", &uri("ec"), "--cert", "ec.pem"];
        good(&token.sign(Some(PIN), &sign));
    }
    assert!(!a_token_was_refused(&token));
    fails(
        &token.sign(
            Some(PIN),
            &["--key", "pkcs11:token=other;object=ec", "--cert", "ec.pem"],
        ),
        2,
        REFUSED,
    );
    assert!(a_token_was_refused(&token));
}

/// Runs modsig on a terminal, types `secret` when it is asked for one, and gives what was shown.
fn on_a_terminal(token: &Token, arguments: &[&str], prompt: &str, secret: &str) -> (bool, String) {
    let script = token.command("script", &[]);
    dialog(script, arguments, &[(prompt, secret)])
}

/// The same with the program `script`, for several questions.
fn dialog(mut script: Command, arguments: &[&str], questions: &[(&str, &str)]) -> (bool, String) {
    let line = [&[MODSIG], arguments].concat().join("' '");
    let mut child = script
        .args(["-qec", &format!("'{line}'"), "/dev/null"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut shown = vec![];
    let mut octet = [0];
    for (prompt, answer) in questions {
        while !shown.ends_with(prompt.as_bytes()) {
            match output.read(&mut octet) {
                Ok(1) => shown.push(octet[0]),
                _ => panic!("no {prompt:?} in {:?}", String::from_utf8_lossy(&shown)),
            }
        }
        input.write_all(answer.as_bytes()).unwrap();
    }
    // The rest while standard input is open: its end would be typed as well.
    output.read_to_end(&mut shown).unwrap();
    drop(input);
    let good = child.wait().unwrap().success();
    (good, String::from_utf8(shown).unwrap())
}

#[test]
fn keygen_encrypts_if_it_is_told_to() {
    let work = tempfile::tempdir().unwrap();
    fs::write(work.path().join("m.ko"), MODULE).unwrap();
    fs::write(work.path().join("file"), "secret\n").unwrap();
    let keygen = |variable: &str, more: &[&str]| {
        let program = [variable, MODSIG, "keygen", "--force", "--algorithm", "p256"];
        let files = ["--key", "k.pem", "--cert", "c.pem"];
        run(&work, "env", &[&program[..], &files, more].concat())
    };
    let is_encrypted = || {
        let key = String::from_utf8(read(&work, "k.pem")).unwrap();
        let encrypted = key.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----");
        let openssl = ["pkey", "-noout", "-in", "k.pem", "-passin", "pass:secret"];
        good(&run(&work, "openssl", &openssl));
        let sign = [&SIGN[..], &["--passphrase-file", "file"]].concat();
        good(&modsig(&work, &sign));
        good(&modsig(&work, &VERIFY));
        encrypted
    };
    good(&keygen("KBUILD_SIGN_PIN=secret", &["--encrypt"]));
    assert!(is_encrypted());
    let file = ["--encrypt", "--passphrase-file", "file"];
    good(&keygen("KBUILD_SIGN_PIN=other", &file));
    assert!(is_encrypted());
    // Not because there is a passphrase for something else.
    good(&keygen("KBUILD_SIGN_PIN=secret", &[]));
    assert!(!is_encrypted());
    fs::remove_file(work.path().join("k.pem")).unwrap();
    let unasked = "k.pem: it is to be encrypted; give its passphrase with --passphrase-file";
    fails(&keygen("KBUILD_SIGN_PIN=", &["--encrypt"]), 2, unasked);
    assert!(!work.path().join("k.pem").exists());

    // Typed, it is typed twice.
    let arguments = [
        "keygen",
        "--force",
        "--encrypt",
        "--algorithm",
        "p256",
        "--key",
        "k.pem",
    ];
    let arguments = [&arguments[..], &["--cert", "c.pem"]].concat();
    for (second, fine) in [("secret\r", true), ("secrets\r", false), ("\r", false)] {
        let mut script = Command::new("script");
        script
            .current_dir(work.path())
            .env_remove(keys::PIN_VARIABLE);
        let questions = [
            ("Passphrase for k.pem: ", "secret\r"),
            ("Again, to be sure: ", second),
        ];
        let (good_exit, shown) = dialog(script, &arguments, &questions);
        assert_eq!(good_exit, fine, "{shown}");
        assert!(!shown.contains("secret"), "{shown}");
        match fine {
            true => assert!(is_encrypted()),
            false => assert!(shown.contains("the two passphrases differ"), "{shown}"),
        }
        let _ = fs::remove_file(work.path().join("k.pem"));
    }
}

#[test]
fn the_terminal_is_asked_once_for_many_files() {
    let token = Token::new();
    fs::create_dir(token.work.path().join("tree")).unwrap();
    for number in 0..40 {
        fs::write(token.work.path().join(format!("tree/{number}.ko")), MODULE).unwrap();
    }
    let key = uri("ec");
    // The certificate comes from the token as well.
    let sign = ["sign", "--key", &key, "--cert", &key, "--jobs", "4", "tree"];
    let prompt = format!("PIN for {key}: ");
    // A typing error and a whole false start are taken back.
    let typed = format!("false\u{15}{}x\u{7f}{}\r", &PIN[..3], &PIN[3..]);
    let (good_exit, shown) = on_a_terminal(&token, &sign, &prompt, &typed);
    assert!(good_exit, "{shown}");
    assert_eq!(shown.matches("PIN").count(), 1, "{shown}");
    assert!(
        !shown.contains(PIN) && shown.contains("40 signed"),
        "{shown}"
    );
    good(&modsig(
        &token.work,
        &["verify", "--cert", "ec.pem", "tree"],
    ));

    let (good_exit, shown) = on_a_terminal(&token, &sign, &prompt, &format!("{WRONG}\r"));
    assert!(!good_exit && shown.contains(REFUSED), "{shown}");
    assert_eq!(shown.matches("PIN for").count(), 1, "{shown}");
    assert!(!shown.contains("Enter PIN"), "{shown}");
    let (good_exit, shown) = on_a_terminal(&token, &sign, &prompt, "\u{3}");
    assert!(!good_exit && shown.contains("interrupted"), "{shown}");
}

/// A shell on a terminal, which asks for the passphrase "secret" of a key, and says what became of it.
struct Asked {
    work: TempDir,
    shell: Child,
    output: ChildStdout,
    input: ChildStdin,
    shown: Vec<u8>,
}

const ASKS: &str = "Passphrase for e.pem: ";

impl Asked {
    /// Waits until somebody is asked; the shell runs these commands before and behind.
    fn new(first: &str, then: &str) -> Self {
        let work = set_up("p256");
        let encrypt = "pkey -aes256 -passout pass:secret -in k.pem -out e.pem";
        let encrypt: Vec<&str> = encrypt.split(' ').collect();
        good(&run(&work, "openssl", &encrypt));
        // The shell's own settings before and behind, with the prompt between.
        let sign = format!("exec {MODSIG} sign --key e.pem --cert c.pem m.ko");
        let script = format!(
            "{first} tty > tty; stty -g > before; sh -c 'echo $$ > pid; {sign}'; {then} \
             echo status $?; stty -g > behind"
        );
        fs::write(work.path().join("ask"), script).unwrap();
        symlink("/bin/sh", work.path().join("sh")).unwrap();
        // Whoever runs this may ignore signals, as a shell has it for what runs behind it.
        let mut shell = Command::new("env")
            .args([
                "--default-signal",
                "script",
                "-qec",
                "./sh ask",
                "/dev/null",
            ])
            .current_dir(work.path())
            .env_remove(keys::PIN_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, output) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let mut asked = Asked {
            work,
            shell,
            output,
            input,
            shown: vec![],
        };
        asked.is_asked();
        asked
    }

    fn is_asked(&mut self) {
        let mut octet = [0];
        while !self.shown.ends_with(ASKS.as_bytes()) {
            assert_eq!(self.output.read(&mut octet).unwrap(), 1);
            self.shown.push(octet[0]);
        }
        // Once more is another time.
        self.shown.push(b'|');
    }

    fn file(&self, name: &str) -> String {
        let text = String::from_utf8(read(&self.work, name)).unwrap();
        text.trim().to_owned()
    }

    fn send(&self, signal: &str) {
        let pid = self.file("pid");
        let kill = Command::new("kill").args([signal, &pid]).status();
        assert!(kill.unwrap().success());
    }

    /// The settings of the terminal now.
    fn settings(&self) -> String {
        let output = run(&self.work, "stty", &["-F", &self.file("tty"), "-g"]);
        good(&output);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn types(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
    }

    /// What was shown until the shell was done, after which the terminal is as it was.
    fn end(mut self) -> (TempDir, String) {
        // While standard input is open: its end would be typed as well.
        self.output.read_to_end(&mut self.shown).unwrap();
        self.shell.wait().unwrap();
        assert_eq!(self.file("before"), self.file("behind"));
        (self.work, String::from_utf8(self.shown).unwrap())
    }
}

#[test]
fn the_terminal_is_as_it_was_after_a_prompt() {
    let mut asked = Asked::new("", "");
    assert_ne!(asked.settings(), asked.file("before"));
    asked.types("secret\r");
    let (work, shown) = asked.end();
    assert!(
        shown.contains("1 signed") && !shown.contains("secret"),
        "{shown}"
    );
    good(&modsig(&work, &["verify", "--cert", "c.pem", "m.ko"]));
}

#[test]
fn a_signal_at_the_prompt_leaves_the_terminal_as_it_was() {
    for (signal, number) in [("-TERM", 15), ("-HUP", 1), ("-INT", 2), ("-QUIT", 3)] {
        let asked = Asked::new("", "");
        asked.send(signal);
        let (work, shown) = asked.end();
        let status = format!("status {}", 128 + number);
        assert!(shown.contains(&status), "{signal}: {shown}");
        assert_eq!(module(&work), MODULE);
    }
}

#[test]
fn who_is_stopped_at_the_prompt_is_asked_again() {
    for by_key in [false, true] {
        let mut asked = Asked::new("set -m;", "stty -g > between; fg;");
        asked.types("sec");
        match by_key {
            true => asked.types("\u{1a}"),
            false => asked.send("-TSTP"),
        }
        asked.is_asked();
        asked.types("secret\r");
        let (work, shown) = asked.end();
        assert!(shown.contains("1 signed"), "{shown}");
        assert_eq!(read(&work, "before"), read(&work, "between"));
    }
}

#[test]
fn threads_may_share_a_token() {
    let token = Token::new();
    fs::create_dir(token.work.path().join("tree")).unwrap();
    for number in 0..60 {
        let content = [MODULE, &[number]].concat();
        fs::write(token.work.path().join(format!("tree/{number}.ko")), content).unwrap();
    }
    for sessions in ["1", "4"] {
        let key = uri("ec");
        let sign = [
            "sign",
            "--key",
            &key,
            "--cert",
            "ec.pem",
            "--jobs",
            "8",
            "--token-sessions",
            sessions,
            "tree",
        ];
        let mut command = token.command(MODSIG, &sign);
        good(&command.env(keys::PIN_VARIABLE, PIN).output().unwrap());
        let verify = modsig(&token.work, &["verify", "--cert", "ec.pem", "tree"]);
        good(&verify);
        assert!(
            String::from_utf8_lossy(&verify.stdout).contains("60 good"),
            "{verify:?}"
        );
    }
}

#[test]
fn keys_in_files_have_many_forms() {
    let work = set_up("p384");
    let rsa = set_up("rsa-2048");
    let openssl = |work: &TempDir, line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        good(&run(work, "openssl", &words));
    };
    for (work, traditional) in [(&work, "ec"), (&rsa, "rsa")] {
        openssl(work, &format!("{traditional} -in k.pem -out traditional"));
        openssl(
            work,
            &format!("{traditional} -in k.pem -aes256 -passout pass:secret -out traditional-enc"),
        );
        openssl(
            work,
            &format!("{traditional} -in k.pem -outform DER -out traditional-der"),
        );
        openssl(
            work,
            "pkcs8 -topk8 -in k.pem -passout pass:secret -out pkcs8-enc",
        );
        openssl(
            work,
            "pkcs8 -topk8 -in k.pem -nocrypt -outform DER -out pkcs8-der",
        );
        openssl(
            work,
            "pkcs8 -topk8 -in k.pem -passout pass:secret -outform DER -out pkcs8-enc-der",
        );
        // As Kbuild has it: key and certificate in one file.
        let both = [read(work, "pkcs8-enc"), read(work, "c.pem")].concat();
        fs::write(work.path().join("both-enc"), both).unwrap();
        fs::write(work.path().join("secret"), "secret\n").unwrap();
        fs::write(work.path().join("wrong"), "wrong\n").unwrap();
        for file in ["secret", "wrong"] {
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(work.path().join(file), mode).unwrap();
        }
        for form in ["traditional", "traditional-der", "pkcs8-der"] {
            good(&modsig(
                work,
                &["sign", "--key", form, "--cert", "c.pem", "m.ko"],
            ));
            good(&modsig(work, &VERIFY));
        }
        good(&modsig(work, &["strip", "m.ko"]));
        for form in ["traditional-enc", "pkcs8-enc", "pkcs8-enc-der", "both-enc"] {
            let key = ["sign", "--key", form, "--cert", "c.pem", "m.ko"];
            fails(
                &modsig(work, &key),
                2,
                "the key is encrypted; give its passphrase",
            );
            let with = |file| [&key[..], &["--passphrase-file", file]].concat();
            fails(
                &modsig(work, &with("wrong")),
                2,
                "the passphrase is wrong, or the key is damaged",
            );
            assert_eq!(module(work), MODULE);
            good(&modsig(work, &with("secret")));
            good(&modsig(work, &VERIFY));
            good(&modsig(work, &["strip", "m.ko"]));
        }
        fs::write(work.path().join("noise"), [0x30, 0x82, 1, 0, 1, 2, 3]).unwrap();
        let noise = ["sign", "--key", "noise", "--cert", "c.pem", "m.ko"];
        fails(
            &modsig(work, &noise),
            2,
            "noise: not a private key in PEM or DER",
        );
    }
}

#[test]
fn a_passphrase_that_others_may_read_is_remarked() {
    let work = set_up("p256");
    let encrypt = [
        "pkey",
        "-aes256",
        "-passout",
        "pass:secret",
        "-in",
        "k.pem",
        "-out",
        "e.pem",
    ];
    good(&run(&work, "openssl", &encrypt));
    let file = work.path().join("secret");
    fs::write(&file, "secret\n").unwrap();
    let sign = [
        "sign",
        "--key",
        "e.pem",
        "--cert",
        "c.pem",
        "--passphrase-file",
        "secret",
        "m.ko",
    ];
    for (mode, remarked) in [(0o644, true), (0o640, true), (0o600, false), (0o400, false)] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let output = modsig(&work, &sign);
        good(&output);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            text.contains("others than its owner may read"),
            remarked,
            "{mode:o}: {text}"
        );
    }
}

/// The key k.pem, and a certificate for it. Not by `keys::pair`, which hides the whole process.
fn pair(work: &TempDir, certificate: &str) -> (SigningKey, X509) {
    let key = PKey::private_key_from_pem(&read(work, "k.pem")).unwrap();
    let certificate = X509::from_pem(&read(work, certificate)).unwrap();
    (key.into(), certificate)
}

/// A certificate for the key k.pem, with these arguments of `openssl req`.
fn certificate(work: &TempDir, name: &str, arguments: &[&str]) -> Signer {
    let request = [
        "req",
        "-x509",
        "-new",
        "-key",
        "k.pem",
        "-subj",
        "/CN=x",
        "-config",
        "/dev/null",
        "-out",
        name,
    ];
    good(&run(work, "openssl", &[&request[..], arguments].concat()));
    let (key, certificate) = pair(work, name);
    let digest = digest_by_name("sha512").unwrap();
    Signer::new(key, &certificate, digest, SignerIdForm::IssuerAndSerial).unwrap()
}

#[test]
fn odd_certificates_are_remarked_and_sign() {
    let work = set_up("p256");
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    let usage = |usage| [&leaf[..], &["-addext", usage]].concat();
    let fine = certificate(&work, "fine.pem", &usage("keyUsage=digitalSignature"));
    assert_eq!(fine.warnings(), [""; 0]);
    let none = certificate(&work, "none.pem", &leaf);
    assert_eq!(none.warnings(), [""; 0], "without key usage any is allowed");
    for (name, arguments, message) in [
        (
            "usage.pem",
            usage("keyUsage=keyEncipherment"),
            "lacks digitalSignature",
        ),
        (
            "ca.pem",
            vec!["-addext", "basicConstraints=critical,CA:TRUE"],
            "certification authority",
        ),
    ] {
        let signer = certificate(&work, name, &arguments);
        let [warning] = signer.warnings() else {
            panic!("{:?}", signer.warnings());
        };
        assert!(warning.contains(message), "{warning}");
        assert!(warning.contains("the kernel ignores this"), "{warning}");
    }
    // Dates: openssl req has no option for them before 3.4.
    for (name, start, end, message) in [
        (
            "old.pem",
            "20200101000000Z",
            "20210101000000Z",
            "has expired on Jan  1 00:00:00 2021",
        ),
        (
            "young.pem",
            "20900101000000Z",
            "20910101000000Z",
            "is not valid before Jan  1",
        ),
    ] {
        certificate(&work, "dated.pem", &usage("keyUsage=digitalSignature"));
        let ca = "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=.\nserial=serial\n\
                  default_md=sha256\npolicy=p\n[p]\ncommonName=supplied\n";
        fs::write(work.path().join("ca.conf"), ca).unwrap();
        fs::write(work.path().join("index"), "").unwrap();
        fs::write(work.path().join("serial"), "01\n").unwrap();
        let request = [
            "req",
            "-new",
            "-key",
            "k.pem",
            "-subj",
            "/CN=x",
            "-config",
            "/dev/null",
            "-out",
            "request",
        ];
        good(&run(&work, "openssl", &request));
        let issue = [
            "ca",
            "-batch",
            "-config",
            "ca.conf",
            "-selfsign",
            "-keyfile",
            "k.pem",
            "-in",
            "request",
            "-startdate",
            start,
            "-enddate",
            end,
            "-notext",
            "-out",
            name,
        ];
        good(&run(&work, "openssl", &issue));
        let sign = ["sign", "--key", "k.pem", "--cert", name, "m.ko"];
        let output = modsig(&work, &sign);
        good(&output);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            text.contains(message) && text.contains("the kernel ignores this"),
            "{text}"
        );
        good(&modsig(&work, &["verify", "--cert", name, "m.ko"]));
    }
}

#[test]
fn a_signer_knows_what_it_has_signed() {
    let work = set_up("p256");
    let signer = |hash: &str, form| {
        let (key, certificate) = pair(&work, "c.pem");
        Signer::new(key, &certificate, digest_by_name(hash).unwrap(), form).unwrap()
    };
    let ours = signer("sha512", SignerIdForm::IssuerAndSerial);
    let signed = |signer: &Signer| {
        modsig_tools::signer::append(MODULE, &signer.message(MODULE).unwrap()).unwrap()
    };
    let file = signed(&ours);
    assert!(ours.has_signed(&file));
    assert!(!ours.has_signed(MODULE));
    assert!(!ours.has_signed(b""));
    for other in [
        signer("sha256", SignerIdForm::IssuerAndSerial),
        signer("sha512", SignerIdForm::SubjectKeyId),
    ] {
        assert!(!ours.has_signed(&signed(&other)));
        assert!(other.has_signed(&signed(&other)));
    }
    // The same names, another key.
    let stranger = certificate(&work, "stranger.pem", &[]);
    assert!(!ours.has_signed(&signed(&stranger)));
    let mut altered = file.clone();
    altered[10] ^= 1;
    assert!(!ours.has_signed(&altered));
    let mut twice = file.clone();
    twice.extend(ours.message(&file).unwrap());
    let twice = modsig_tools::signer::append(&file, &ours.message(&file).unwrap()).unwrap();
    assert!(!ours.has_signed(&twice), "below it is another signature");
}

#[test]
fn a_signer_signs_digests_and_is_shared() {
    let work = set_up("rsa-2048");
    let (key, certificate) = pair(&work, "c.pem");
    let digest = digest_by_name("sha384").unwrap();
    let signer = Signer::new(key, &certificate, digest, SignerIdForm::IssuerAndSerial).unwrap();
    let whole = signer.message(MODULE).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let digest = signer.digest_of(MODULE).unwrap();
                assert_eq!(signer.message_over(&digest).unwrap(), whole);
            });
        }
    });
    let error = signer.message_over(b"short").unwrap_err();
    assert!(error.to_string().contains("not a digest of sha384"));
}

/// The passphrase is in the environment that the program was started with, and cannot be wiped there.
#[test]
fn the_environment_of_who_has_a_key_is_closed_to_its_user() {
    let work = set_up("p256");
    let encrypt = "pkey -aes256 -passout pass:secret -in k.pem -out e.pem";
    let encrypt: Vec<&str> = encrypt.split(' ').collect();
    good(&run(&work, "openssl", &encrypt));
    let program = copy_of(MODSIG, &work);
    let somebody = ["--reuid", "54325", "--regid", "54325", "--clear-groups"];
    let as_somebody = |program: &str, arguments: &[&str]| {
        let mut command = match is_root() {
            true => {
                let mut command = Command::new("setpriv");
                command.args(somebody).arg(program);
                command
            }
            false => Command::new(program),
        };
        command.args(arguments).current_dir(work.path());
        command
    };
    if is_root() {
        good(&run(&work, "chown", &["-R", "54325:54325", "."]));
    }
    let sign = [
        "sign",
        "--key",
        "e.pem",
        "--cert",
        "c.pem",
        "--files-from",
        "-",
    ];
    // It waits for the list, with the key.
    let mut child = as_somebody(&program, &sign)
        .env(keys::PIN_VARIABLE, "secret")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = child.id();
    let end = Instant::now() + Duration::from_secs(30);
    let is_modsig = || {
        let name = fs::read_to_string(format!("/proc/{pid}/comm"));
        name.unwrap().contains("modsig")
    };
    for name in ["environ", "mem"] {
        let file = format!("/proc/{pid}/{name}");
        let can_be_read = || {
            let output = as_somebody("cat", &[&file]).output();
            output.unwrap().status.success()
        };
        // At first it is setpriv, which cannot be looked into either; and then modsig at its beginning.
        while !is_modsig() || can_be_read() {
            assert!(Instant::now() < end, "{file} can be read");
            thread::sleep(Duration::from_millis(20));
        }
    }
    let denied = as_somebody("cat", &[&format!("/proc/{pid}/environ")]);
    let denied = { denied }.output().unwrap();
    fails(&denied, 1, "Permission denied");
    child.stdin.take().unwrap().write_all(b"m.ko\n").unwrap();
    assert!(child.wait().unwrap().success());
}
