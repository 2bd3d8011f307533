// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the programs say of themselves is true: the examples work, the manual pages are well
//! formed, and the shells complete.

use std::{fs, path::Path, process::Command};

use modsig_tools::loader::Loadable;
use tempfile::TempDir;

use crate::common::{linked, *};

fn help(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    good(&output);
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of a section, without the two columns that all have.
fn section<'a>(help: &'a str, title: &str) -> Vec<&'a str> {
    let lines = help.lines().skip_while(|line| *line != title).skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines.map(|line| &line[2..]).collect()
}

fn subcommands() -> Vec<String> {
    let help = help(MODSIG, &["--help"]);
    let titles = ["Check modules:", "Sign modules:", "Build kernels:"];
    let lines = titles.iter().flat_map(|title| section(&help, title));
    let names: Vec<_> = lines
        .filter_map(|line| line.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(names.len(), 10, "{names:?}");
    names
}

/// A directory with all that the examples name.
fn directory() -> TempDir {
    let work = set_up("p256");
    let path = |name: &str| work.path().join(name);
    for (name, new) in [
        ("k.pem", "key.pem"),
        ("c.pem", "cert.pem"),
        ("m.ko", "module.ko"),
    ] {
        fs::rename(path(name), path(new)).unwrap();
    }
    fs::write(path("passphrase"), "correct horse\n").unwrap();
    let lock = [
        "pkey",
        "-in",
        "key.pem",
        "-aes256",
        "-passout",
        "file:passphrase",
        "-out",
    ];
    good(&run(
        &work,
        "openssl",
        &[&lock[..], &["locked.pem"]].concat(),
    ));
    for name in ["vendor", "revoked"] {
        let (key, cert) = (format!("{name}.key"), format!("{name}.pem"));
        let keygen = [
            "keygen",
            "--algorithm",
            "p256",
            "--key",
            &key,
            "--cert",
            &cert,
        ];
        good(&modsig(&work, &keygen));
    }
    let kernel = kernel("6.12", "x86_64", "c");
    fs::copy(kernel.join("kernel"), path("vmlinuz")).unwrap();
    let module = fs::read(kernel.join("modules/test_module.ko")).unwrap();
    let (module, _) = modsig_tools::signer::strip(&module);
    fs::write(path("official.ko"), module).unwrap();
    let release = Loadable::read(module)
        .unwrap()
        .release()
        .unwrap()
        .to_owned();
    let keys = script("build/keys", &[]);
    let [key, cert] = ["rsa2048.key.pem", "rsa2048.cert.pem"].map(|name| keys.join(name));
    let [key, cert] = [&key, &cert].map(|path| path.to_str().unwrap());
    good(&modsig(
        &work,
        &["sign", "--key", key, "--cert", cert, "official.ko"],
    ));
    for (name, content) in [
        ("proc/keys", ""),
        ("sys/module/module/parameters/sig_enforce", "Y"),
        ("sys/kernel/security/lockdown", "[none] integrity"),
    ] {
        let path = path("machine").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let modules = format!("machine/lib/modules/{release}");
    for directory in ["machine/boot", &modules] {
        fs::create_dir_all(path(directory)).unwrap();
    }
    let image = format!("machine/boot/vmlinuz-{release}");
    fs::copy(path("vmlinuz"), path(&image)).unwrap();
    fs::copy(path("official.ko"), path(&modules).join("official.ko")).unwrap();
    let archive = "echo official.ko | cpio -o -H newc --quiet > initrd.img";
    good(&run(&work, "sh", &["-c", archive]));
    fs::create_dir_all(path("modules/kernel/drivers")).unwrap();
    for name in [
        "modules/a.ko",
        "modules/kernel/b.ko",
        "modules/kernel/drivers/c.ko",
    ] {
        fs::write(path(name), [MODULE, name.as_bytes()].concat()).unwrap();
    }
    good(&run(&work, "xz", &["--check=crc32", "modules/a.ko"]));
    build(work.path(), 3);
    for directory in ["build/drivers", "root/lib/modules"] {
        fs::create_dir_all(path(directory)).unwrap();
    }
    let kernel = linked::Linked {
        releases: true,
        ..linked::Linked::default()
    };
    kernel.write(&path("build/vmlinux"));
    fs::write(path("build/modules.order"), "drivers/d.o\n").unwrap();
    let module = linked::module(linked::VERMAGIC, "d");
    fs::write(path("build/drivers/d.ko"), &module).unwrap();
    fs::write(path("root/lib/modules/d.ko"), &module).unwrap();
    let installed = [
        "sign",
        "--key",
        "key.pem",
        "--cert",
        "cert.pem",
        "root/lib/modules",
    ];
    good(&modsig(&work, &installed));
    fs::write(path("list"), "modules/a.ko.xz\nmodules/kernel/b.ko\n").unwrap();
    work
}

fn examples_work(name: &str, help: &str) {
    assert!(section(help, "Exit status:").len() > 1, "{name}: {help}");
    let examples = section(help, "Examples:");
    let commands: Vec<_> = examples
        .iter()
        .filter_map(|line| line.strip_prefix("  "))
        // There is no token to be found by its name.
        .filter(|command| !command.contains("pkcs11:"))
        .collect();
    assert!(
        commands.iter().any(|command| command.starts_with(name)),
        "no example for {name}: {help}"
    );
    let programs = Path::new(MODSIG).parent().unwrap();
    assert_eq!(programs, Path::new(SIGN_FILE).parent().unwrap());
    let path = std::env::var("PATH").unwrap();
    let script = format!(
        "set -euo pipefail\nPATH={}:{path}\n{}",
        programs.display(),
        commands.join("\n")
    );
    let output = run(&directory(), "bash", &["-c", &script]);
    assert!(output.status.success(), "{name}: {script}\n{output:?}");
}

#[test]
fn the_examples_work() {
    examples_work("modsig", &help(MODSIG, &["--help"]));
    examples_work("sign-file", &help(SIGN_FILE, &["--help"]));
    for name in subcommands() {
        examples_work(&format!("modsig {name}"), &help(MODSIG, &[&name, "--help"]));
    }
}

/// The manual pages and completions.
fn generated() -> TempDir {
    let work = tempfile::tempdir().unwrap();
    let example = ["run", "--quiet", "--locked", "--example", "manpages", "--"];
    let output = Command::new(env!("CARGO"))
        .args(example)
        .arg(work.path())
        .arg("2025-01-31")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    good(&output);
    work
}

#[test]
fn the_manual_pages_are_well_formed() {
    let work = generated();
    let mut expected = vec!["modsig.1".to_owned(), "modsig-sign-file.1".to_owned()];
    expected.extend(subcommands().iter().map(|name| format!("modsig-{name}.1")));
    expected.sort();
    let files = fs::read_dir(work.path()).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> = names.filter(|name| name.ends_with(".1")).collect();
    pages.sort();
    assert_eq!(pages, expected);
    for page in &pages {
        let headings = headings_of_well_formed(&work, page);
        for heading in ["SYNOPSIS", "OPTIONS", "EXIT STATUS", "EXAMPLES", "SEE ALSO"] {
            assert!(
                headings.iter().any(|one| one == heading),
                "{page}: {headings:?}"
            );
        }
    }
}

/// The headings of a manual page, of which mandoc has nothing to complain.
fn headings_of_well_formed(work: &TempDir, page: &str) -> Vec<String> {
    let output = run(work, "mandoc", &["-T", "lint", "-W", "warning", page]);
    let complaints = String::from_utf8_lossy(&output.stdout);
    let complaints: Vec<_> = complaints
        .lines()
        // So it lists the values that an option can have.
        .filter(|line| !line.contains("skipping paragraph macro: br"))
        .collect();
    assert!(complaints.is_empty(), "{complaints:?}");
    let text = shown(work, page);
    let headings = text.lines().filter(|line| !line.starts_with(' '));
    headings
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A manual page as people see it.
fn shown(work: &TempDir, page: &str) -> String {
    let output = run(work, "mandoc", &["-T", "utf8", page]);
    good(&output);
    // Bold and underlined letters are struck twice.
    let text = String::from_utf8(output.stdout).unwrap();
    let letters: Vec<_> = text.chars().collect();
    let struck = |at: usize| letters.get(at + 1) == Some(&'\u{8}');
    let plain = (0..letters.len()).filter(|&at| letters[at] != '\u{8}' && !struck(at));
    plain.map(|at| letters[at]).collect()
}

/// modsig(7) is written by hand: it names all that the commands say of themselves.
#[test]
fn the_page_on_concepts_names_all_commands_variables_files_and_statuses() {
    let work = tempfile::tempdir().unwrap();
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("man/modsig.7");
    fs::copy(written, work.path().join("modsig.7")).unwrap();
    let headings = headings_of_well_formed(&work, "modsig.7");
    for heading in [
        "TRUST MODELS",
        "FORMATS",
        "EXIT STATUS",
        "ENVIRONMENT",
        "FILES",
        "SEE ALSO",
    ] {
        assert!(headings.iter().any(|one| one == heading), "{headings:?}");
    }
    let text = shown(&work, "modsig.7");
    let mut helps = vec![help(MODSIG, &["--help"]), help(SIGN_FILE, &["--help"])];
    for name in subcommands() {
        assert!(text.contains(&format!("modsig-{name}(1)")), "{name}");
        helps.push(help(MODSIG, &[&name, "--help"]));
    }
    assert!(text.contains("modsig-sign-file(1)"));
    let mut names = 0;
    for help in &helps {
        for title in ["Environment:", "Files:", "Exit status:"] {
            for line in section(help, title) {
                // What a line goes on with is indented more.
                let Some((name, _)) = line.split_once("  ") else {
                    continue;
                };
                if name.is_empty() {
                    continue;
                }
                for name in name.replace("<module>", "MODULE").split(", ") {
                    let has = text
                        .split_whitespace()
                        .any(|word| word.trim_end_matches([',', '.']) == name);
                    assert!(has, "{name} is in a command's help, but not in modsig(7)");
                }
                names += 1;
            }
        }
    }
    assert!(names > 30, "{names}");
}

/// Runs a shell in the directory with the completions; the words that it prints, in order.
fn completed(work: &TempDir, shell: &str, arguments: &[&str]) -> Vec<String> {
    let output = run(work, "env", &[&["HOME=.", shell], arguments].concat());
    good(&output);
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    // fish explains each word, after a tab.
    let words = text.lines().filter_map(|line| line.split('\t').next());
    let mut words: Vec<_> = words.map(str::to_owned).collect();
    words.sort();
    words
}

fn all_subcommands() -> Vec<String> {
    let mut names = subcommands();
    names.sort();
    names
}

#[test]
fn bash_completes() {
    let work = generated();
    let complete = |before: &str, word: &str| {
        let script = format!(
            "source ./modsig.bash
            [[ $(complete -p modsig) = *' -F _modsig '* ]]
            COMP_WORDS=({before} \"$1\")
            COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
            _modsig modsig \"$1\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"
            printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        completed(&work, "bash", &["-ec", &script, "bash", word])
    };
    let words = complete("modsig", "");
    let names = words.into_iter().filter(|word| !word.starts_with('-'));
    assert!(names.eq(all_subcommands()));
    assert_eq!(complete("modsig sign", "--dest"), ["--dest-dir"]);
    assert_eq!(
        complete("modsig keygen --algorithm", "p"),
        ["p256", "p384", "p521"]
    );
    assert_eq!(complete("modsig sign --key", "modsig.f"), ["modsig.fish"]);
}

#[test]
fn fish_completes() {
    let work = generated();
    let complete = |line: &str| {
        let script = "source modsig.fish; complete --do-complete $argv[1]";
        completed(&work, "fish", &["--no-config", "-c", script, line])
    };
    assert_eq!(complete("modsig "), all_subcommands());
    assert_eq!(complete("modsig sign --dest"), ["--dest-dir"]);
    assert_eq!(
        complete("modsig keygen --algorithm p"),
        ["p256", "p384", "p521"]
    );
}

/// zsh completes on a terminal only: that it finds the function for the command and can load it.
#[test]
fn zsh_loads_it() {
    let work = generated();
    let script = "fpath=($PWD $fpath)
        autoload -Uz compinit
        compinit -u -D
        autoload +X ${_comps[modsig]}
        print ${_comps[modsig]}";
    let words = completed(&work, "zsh", &["-f", "-e", "-c", script]);
    assert_eq!(words, ["_modsig"]);
}
