// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which certificates a kernel takes into a keyring: held against kernels that are given them.
//!
//! All are made by OpenSSL, which reads each of them.

use std::{collections::BTreeMap, fs, path::Path};

use modsig::verify::{CertificateHash, Tree};
use modsig_testing::{
    archive::Archive,
    vm::{self, Options},
};
use modsig_tools::{keys, platform::Host};
use tempfile::TempDir;

use crate::common::*;

/// Makes, in a shell, c-NAME.pem and k-NAME.pem.
const MAKE: &str = r#"
set -e
req() { name=$1; shift; openssl req -new -x509 -key "k-$name.pem" -subj "/CN=$name" -days 3650 -out "c-$name.pem" "$@"; }
key() { name=$1; shift; openssl genpkey -out "k-$name.pem" "$@" 2>> log; }
ec() { key "$1" -algorithm EC -pkeyopt ec_paramgen_curve:"$2" -pkeyopt ec_param_enc:"${3:-named_curve}"; }
for bits in 1024 2048 2304 3072 4096; do key rsa$bits -algorithm RSA -pkeyopt rsa_keygen_bits:$bits; req rsa$bits; done
for curve in P-192 P-224 P-256 P-384 P-521 secp256k1 brainpoolP256r1; do ec $curve $curve; req $curve; done
ec explicit P-256 explicit; req explicit
openssl ec -in k-P-256.pem -conv_form compressed -out k-compressed.pem; req compressed
for kind in ED25519 ED448; do key $kind -algorithm $kind; req $kind; done
key pss -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048; req pss
copy() { cp k-rsa2048.pem "k-$1.pem"; }
copy signed-pss; req signed-pss -sigopt rsa_padding_mode:pss
for digest in md5 ripemd160 sha1 sha224 sha384 sha512 sha3-256; do copy signed-$digest; req signed-$digest -$digest; done
extension() { copy "$1"; printf '[req]\ndistinguished_name=n\nx509_extensions=e\n[n]\n[e]\n%s\n' "$2" > cnf; req "$1" -config cnf; }
extension ca basicConstraints=critical,CA:TRUE
extension no-ca basicConstraints=critical,CA:FALSE
extension usage keyUsage=digitalSignature
extension no-usage keyUsage=keyEncipherment
extension code extendedKeyUsage=codeSigning
extension nothing 'subjectKeyIdentifier=none'
extension key-id-1 subjectKeyIdentifier=01
extension key-id-127 subjectKeyIdentifier=$(printf '%0254d' 1)
extension key-id-128 subjectKeyIdentifier=$(printf '%0256d' 1)
extension key-id-129 subjectKeyIdentifier=$(printf '%0258d' 1)
extension no-key-id 2.5.29.14=DER:0400
extension odd-usage 2.5.29.15=DER:0300
extension unknown 1.2.3.4=critical,ASN1:UTF8String:x
copy no-name; req no-name -subj /
copy utf8; req utf8 -utf8 -subj '/CN=Müller'
copy long; req long -days 900000
copy other; openssl pkey -in k-other.pem -pubout -out other.pub
openssl req -new -key k-rsa3072.pem -subj /CN=other -out other.csr
openssl x509 -req -in other.csr -signkey k-rsa3072.pem -force_pubkey other.pub -days 9 -out c-other.pem
openssl x509 -req -in other.csr -CA c-ca.pem -CAkey k-ca.pem -CAcreateserial -days 9 -out c-issued.pem
"#;

/// A first program that gives each file of /certificates to add_key(2), as `keyctl padd asymmetric` does.
const INIT: &str = r#"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(void)
{
	static char content[65536];
	mount("d", "/dev", "devtmpfs", 0, 0);
	FILE *to = fopen("/dev/vport0p1", "w");
	if (!to)
		to = fopen("/dev/vport1p1", "w");
	DIR *all = opendir("/certificates");
	for (struct dirent *entry; to && all && (entry = readdir(all));) {
		char path[300];
		snprintf(path, sizeof path, "/certificates/%s", entry->d_name);
		int file = open(path, O_RDONLY);
		ssize_t size = read(file, content, sizeof content);
		close(file);
		if (entry->d_name[0] == '.')
			continue;
		long key = syscall(SYS_add_key, "asymmetric", "", content, size, -2);
		fprintf(to, "%s %d\n", entry->d_name, key < 0 ? errno : 0);
	}
	if (to)
		fclose(to);
	sync();
	reboot(RB_AUTOBOOT);
	return 0;
}
"#;

/// What a kernel says to each certificate: 0, or an error number.
fn asked(work: &TempDir, series: &str, certificates: &[String]) -> BTreeMap<String, i32> {
    fs::write(work.path().join("init.c"), INIT).unwrap();
    let compile = ["-static", "-O2", "-o", "init", "init.c"];
    good(&run(work, "cc", &compile));
    let mut files = Archive::default();
    files.directory("dev");
    files.directory("certificates");
    files.file("init", &read(work, "init"));
    for name in certificates {
        let der = keys::certificate(&work.path().join(format!("c-{name}.pem")));
        let der = der.unwrap().to_der().unwrap();
        files.file(&format!("certificates/{name}"), &der);
    }
    let console = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("certificates-{series}"));
    let said = vm::run(
        vm::arch("x86_64").unwrap(),
        &kernel(series, "x86_64", "permissive").join("kernel"),
        &files.finish(),
        "",
        &console,
        &Options::default(),
    );
    let said = said.unwrap();
    let answer = |line: &str| {
        let (name, number) = line.split_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    };
    said.lines().map(answer).collect()
}

#[test]
fn a_certificate_is_one_if_a_kernel_takes_it() {
    let work = tempfile::tempdir().unwrap();
    good(&run(&work, "bash", &["-c", MAKE]));
    let mut names = vec![];
    for entry in fs::read_dir(work.path()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_prefix("c-");
        names.extend(name.and_then(|name| Some(name.strip_suffix(".pem")?.to_owned())));
    }
    assert!(names.len() > 40, "{names:?}");
    let mut wrong = vec![];
    for (series, is_6_12) in [("6.12", true), ("7.3", false)] {
        let answers = asked(&work, series, &names);
        assert_eq!(answers.len(), names.len());
        let tree = Tree {
            ml_dsa: !is_6_12,
            certificate_hash: CertificateHash::None,
            ..Tree::NEWEST
        };
        let mut taken = 0;
        for (name, number) in answers {
            let path = work.path().join(format!("c-{name}.pem"));
            let certificate = keys::certificate(&path).unwrap();
            let trusted = Host::new(tree).trust(&certificate);
            taken += usize::from(number == 0);
            // C takes its length for another one, and files it under a name that nobody can give
            // (Documentation/differences.md).
            let is_misread = name == "key-id-128" && number == 0 && trusted.is_err();
            if trusted.is_ok() != (number == 0) && !is_misread {
                wrong.push(format!(
                    "{series}: {name}: the kernel says {number}, here {trusted:?}"
                ));
            }
        }
        assert!((10..35).contains(&taken), "{taken}");
    }
    assert_eq!(wrong, Vec::<String>::new());

    // And nobody signs with one that none takes, nor calls good what it signed.
    fs::write(work.path().join("m.ko"), MODULE).unwrap();
    for name in [
        "P-224",
        "secp256k1",
        "rsa2304",
        "explicit",
        "compressed",
        "signed-pss",
    ] {
        let (key, cert) = (format!("k-{name}.pem"), format!("c-{name}.pem"));
        let sign = ["sign", "--key", &key, "--cert", &cert, "m.ko"];
        let cannot = "no kernel takes this certificate into a keyring: ";
        fails(&modsig(&work, &sign), 2, cannot);
        fails(
            &run(&work, SIGN_FILE, &["sha256", &key, &cert, "m.ko"]),
            1,
            cannot,
        );
        fails(
            &modsig(&work, &["verify", "--cert", &cert, "m.ko"]),
            2,
            cannot,
        );
        assert_eq!(module(&work), MODULE);
    }
    let ed = [
        "sign",
        "--key",
        "k-ED25519.pem",
        "--cert",
        "c-ED25519.pem",
        "m.ko",
    ];
    fails(
        &modsig(&work, &ed),
        2,
        "ED25519: no kernel verifies modules with such a key",
    );
}
