// SPDX-License-Identifier: MIT OR Apache-2.0

//! Class 14: certificates in the message, and the chains that they make.

use anyhow::Result;
use modsig::verify::DigestAlgorithm;
use modsig_tools::message::{algorithm, sequence, tlv, SignerParts};

use crate::corpus::compare::{
    craft::{
        self, authority, certificate_algorithm, extension, forge_for_zero, oid, Identity, Message,
        Template,
    },
    kitchen::Kitchen,
    Corpus,
};

/// Adds the cases of class 14.
pub fn add(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    type Part = fn(&Kitchen, &mut Corpus) -> Result<()>;
    let parts: [(&str, Part); 9] = [
        ("known chains", known_chains),
        ("wrong signatures", wrong_signatures),
        ("authorities", authorities),
        ("loops", loops),
        ("lengths", lengths),
        ("impostors", impostors),
        ("fields", fields),
        ("algorithms", algorithms),
        ("holes", holes),
    ];
    for (part, add) in parts {
        let start = out.cases.len();
        add(kitchen, out)?;
        for case in &mut out.cases[start..] {
            case.name = format!("class 14, {part}: {}", case.name);
        }
    }
    Ok(())
}

/// Adds a module signed by these, with these certificates in the message.
fn case(
    out: &mut Corpus,
    name: &str,
    signers: &[SignerParts],
    certificates: &[&Identity],
) -> Result<()> {
    let message = Message::new(signers).with(certificates).encode();
    out.message(name, &message).map(drop)
}

/// The test keys, with more and with fewer certificates than are needed.
fn known_chains(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let chains: [(&str, &[&str]); 37] = [
        ("leaf", &["leaf"]),
        ("leaf", &[]),
        ("leaf", &["leaf", "ca"]),
        ("leaf", &["ca", "leaf"]),
        ("leaf", &["ca"]),
        ("leaf", &["leaf", "leaf"]),
        ("leaf", &["stray", "leaf"]),
        ("leaf", &["leaf2", "leaf", "inter"]),
        ("leaf", &["leaf", "blocked"]),
        ("leaf", &["leaf", "revoked-leaf"]),
        ("leaf2", &["leaf2", "inter"]),
        ("leaf2", &["inter", "leaf2"]),
        ("leaf2", &["leaf2", "inter", "ca"]),
        ("leaf2", &["ca", "inter", "leaf2"]),
        ("leaf2", &["leaf2"]),
        ("leaf2", &["inter"]),
        ("leaf2", &["leaf2", "ca"]),
        ("inter", &["inter"]),
        ("ca", &[]),
        ("ca", &["ca"]),
        ("rsa2048", &["rsa2048"]),
        ("rsa2048", &["stray"]),
        ("rsa2048", &["stray", "root"]),
        ("rsa2048", &["blocked"]),
        ("rsa2048", &["revoked", "revoked-leaf"]),
        ("rsa2048", &["leaf2", "inter"]),
        ("blocked", &["blocked"]),
        ("blocked", &[]),
        ("blocked", &["blocked", "ca"]),
        ("leaf3", &["leaf3", "inter-blocked"]),
        ("leaf3", &["leaf3"]),
        ("leaf3", &["leaf3", "inter-blocked", "ca"]),
        ("revoked-leaf", &["revoked-leaf"]),
        ("revoked-leaf", &["revoked-leaf", "ca"]),
        ("revoked", &["revoked"]),
        ("stray", &["stray"]),
        ("stray", &["stray", "root"]),
    ];
    for (signer, certificates) in chains {
        let identities: Vec<_> = certificates.iter().map(|name| kitchen.id(name)).collect();
        let with = format!("{signer} with {certificates:?}");
        case(out, &with, &[kitchen.signs(signer)?], &identities)?;
        let wrong = [kitchen.signs_wrongly(signer)?];
        case(
            out,
            &format!("{with}, signature wrong"),
            &wrong,
            &identities,
        )?;
    }
    for (name, signers, certificates) in [
        ("root, self-signed and unknown", vec!["root"], vec!["root"]),
        (
            "untrusted, self-signed and unknown",
            vec!["untrusted"],
            vec!["untrusted"],
        ),
        (
            "two signers with one certificate",
            vec!["leaf", "leaf"],
            vec!["leaf"],
        ),
        (
            "two signers below ca",
            vec!["leaf", "leaf2"],
            vec!["leaf", "leaf2", "inter"],
        ),
        (
            "a signer and the one above it",
            vec!["leaf2", "inter"],
            vec!["leaf2", "inter"],
        ),
        (
            "the one above a signer, and it",
            vec!["inter", "leaf2"],
            vec!["leaf2", "inter"],
        ),
        (
            "two signers, one below root",
            vec!["leaf", "stray"],
            vec!["leaf", "stray", "root"],
        ),
        (
            "two signers, one below root",
            vec!["stray", "leaf"],
            vec!["leaf", "stray", "root"],
        ),
        (
            "two signers below root",
            vec!["stray", "root"],
            vec!["stray", "root"],
        ),
        (
            "leaf and blocked",
            vec!["leaf", "blocked"],
            vec!["leaf", "blocked"],
        ),
        (
            "leaf and what is below one blocked",
            vec!["leaf", "leaf3"],
            { vec!["leaf", "leaf3", "inter-blocked"] },
        ),
        (
            "below one blocked, and it",
            vec!["leaf3", "inter-blocked"],
            { vec!["leaf3", "inter-blocked"] },
        ),
        (
            "one blocked, and below it",
            vec!["inter-blocked", "leaf3"],
            { vec!["leaf3", "inter-blocked"] },
        ),
        (
            "leaf and revoked leaf",
            vec!["leaf", "revoked-leaf"],
            vec!["leaf", "revoked-leaf"],
        ),
    ] {
        let parts: Vec<_> = signers
            .iter()
            .map(|s| kitchen.signs(s))
            .collect::<Result<_>>()?;
        let identities: Vec<_> = certificates.iter().map(|name| kitchen.id(name)).collect();
        case(out, &format!("{name} ({signers:?})"), &parts, &identities)?;
    }
    // Two leaves below one intermediate.
    let inter = kitchen.id("inter");
    let first = Template::new("twin one")?
        .below(inter)
        .issued_by(&inter.key)?;
    let second = Template::new("twin two")?
        .below(inter)
        .issued_by(&inter.key)?;
    let content = &kitchen.content;
    let (one, two) = (first.signs(content)?, second.signs(content)?);
    let wrong = second.signs(b"something else")?;
    let all = [&first, &second, inter];
    case(
        out,
        "two leaves below one intermediate",
        &[one.clone(), two],
        &all,
    )?;
    case(
        out,
        "two leaves below one intermediate, the second wrong",
        &[one, wrong],
        &all,
    )
}

/// A certificate that its issuer did not sign.
fn wrong_signatures(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let (ca, inter, root) = (kitchen.id("ca"), kitchen.id("inter"), kitchen.id("root"));
    let content = &kitchen.content;
    let flipped = |name: &str| {
        let mut identity = kitchen.id(name).clone();
        if let Some(last) = identity.certificate.last_mut() {
            *last ^= 1;
        }
        identity
    };
    let (bad_leaf, bad_inter) = (flipped("leaf"), flipped("inter"));
    let leaf = kitchen.signs("leaf")?;
    let leaf2 = kitchen.signs("leaf2")?;
    case(
        out,
        "leaf's certificate flipped",
        std::slice::from_ref(&leaf),
        &[&bad_leaf],
    )?;
    case(
        out,
        "leaf's certificate flipped, ca beside",
        &[leaf],
        &[&bad_leaf, ca],
    )?;
    for (name, certificates) in [
        (
            "intermediate flipped",
            vec![kitchen.id("leaf2"), &bad_inter],
        ),
        (
            "intermediate flipped, ca beside",
            vec![kitchen.id("leaf2"), &bad_inter, ca],
        ),
        (
            "intermediate flipped, then good",
            vec![kitchen.id("leaf2"), &bad_inter, inter],
        ),
        (
            "intermediate good, then flipped",
            vec![kitchen.id("leaf2"), inter, &bad_inter],
        ),
    ] {
        case(out, name, std::slice::from_ref(&leaf2), &certificates)?;
    }
    let bad_self = flipped("root");
    case(
        out,
        "self-signed, flipped",
        &[kitchen.signs("root")?],
        &[&bad_self],
    )?;
    let beside = [&flipped("stray")];
    case(
        out,
        "an unneeded certificate flipped",
        &[kitchen.signs("rsa2048")?],
        &beside,
    )?;
    let beside = [&bad_self];
    let parts = [kitchen.signs("rsa2048")?];
    case(
        out,
        "an unneeded self-signed certificate flipped",
        &parts,
        &beside,
    )?;

    // Says that it is from one, and is from another.
    let claims = |name: &str, claimed: &Identity, by: &Identity| {
        Template::new(name)?.below(claimed).issued_by(&by.key)
    };
    for (name, identity, certificates) in [
        ("claims ca, is root's", claims("a", ca, root)?, vec![]),
        (
            "claims ca, is root's, ca beside",
            claims("b", ca, root)?,
            vec![ca],
        ),
        (
            "claims ca, is root's, root beside",
            claims("c", ca, root)?,
            vec![root],
        ),
        ("claims root, is ca's", claims("d", root, ca)?, vec![]),
        (
            "claims root, is ca's, root beside",
            claims("e", root, ca)?,
            vec![root],
        ),
        (
            "claims inter, is root's, inter beside",
            claims("f", inter, root)?,
            vec![inter],
        ),
        (
            "claims untrusted, is ca's",
            claims("g", kitchen.id("untrusted"), ca)?,
            vec![],
        ),
        (
            "claims p256, is ca's",
            claims("h", kitchen.id("p256"), ca)?,
            vec![],
        ),
    ] {
        let certificates = [&[&identity][..], &certificates].concat();
        case(out, name, &[identity.signs(content)?], &certificates)?;
    }
    Ok(())
}

/// How a certificate names who has signed it.
fn authorities(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let (ca, inter) = (kitchen.id("ca"), kitchen.id("inter"));
    let content = &kitchen.content;
    for (who, up) in [("ca", ca), ("inter", inter)] {
        let serial = (&up.issuer[..], &up.serial[..]);
        let other_serial = (&up.issuer[..], &[0x55][..]);
        let other = &kitchen.id("root").key_id[..];
        let key_id = &up.key_id[..];
        let id = oid::AUTHORITY_KEY_ID;
        let forms: Vec<(&str, Option<Vec<u8>>)> = vec![
            ("none", None),
            ("empty", Some(authority(None, None))),
            ("key id", Some(authority(Some(key_id), None))),
            ("issuer and serial", Some(authority(None, Some(serial)))),
            ("both", Some(authority(Some(key_id), Some(serial)))),
            (
                "both, key id of another",
                Some(authority(Some(other), Some(serial))),
            ),
            (
                "both, serial of another",
                Some(authority(Some(key_id), Some(other_serial))),
            ),
            (
                "both of another",
                Some(authority(Some(other), Some(other_serial))),
            ),
            ("key id of another", Some(authority(Some(other), None))),
            (
                "serial of another",
                Some(authority(None, Some(other_serial))),
            ),
            (
                "serial without issuer",
                Some(extension(id, &sequence(&[&tlv(0x82, serial.1)]))),
            ),
            (
                "issuer without serial",
                Some(extension(
                    id,
                    &sequence(&[&tlv(0xa1, &tlv(0xa4, &tlv(0x30, serial.0)))]),
                )),
            ),
            ("key id twice, the second of another", {
                let both = sequence(&[&tlv(0x80, key_id), &tlv(0x80, other)]);
                Some(extension(id, &both))
            }),
            ("two issuers, the first of another", {
                let (wrong, right) = (craft::name("x"), tlv(0x30, serial.0));
                let names = tlv(0xa1, &[tlv(0xa4, &wrong), tlv(0xa4, &right)].concat());
                Some(extension(id, &sequence(&[&names, &tlv(0x82, serial.1)])))
            }),
            ("two issuers, the second of another", {
                let (wrong, right) = (craft::name("x"), tlv(0x30, serial.0));
                let names = tlv(0xa1, &[tlv(0xa4, &right), tlv(0xa4, &wrong)].concat());
                Some(extension(id, &sequence(&[&names, &tlv(0x82, serial.1)])))
            }),
            ("key id that is serial and issuer", {
                Some(authority(Some(&[serial.1, serial.0].concat()), None))
            }),
            (
                "key id that is the subject",
                Some(authority(Some(serial.0), None)),
            ),
            (
                "key id without its last byte",
                Some(authority(Some(&key_id[..19]), None)),
            ),
        ];
        for (index, (form, extension)) in forms.into_iter().enumerate() {
            let mut template = Template::new(&format!("authority {who} {index}"))?;
            template.extensions.extend(extension.clone());
            let identity = template.issued_by(&up.key)?;
            let parts = [identity.signs(content)?];
            let name = format!("authority {who} named by {form}");
            case(out, &name, &parts, &[&identity])?;
            case(out, &format!("{name}, beside"), &parts, &[&identity, up])?;
            // The last one twice: what comes later does not count, or it does.
            let twice = template.extended(authority(Some(key_id), None));
            let identity = twice.issued_by(&up.key)?;
            let name = format!("authority {who} named by {form}, then by key id");
            case(out, &name, &[identity.signs(content)?], &[&identity])?;
        }
    }
    Ok(())
}

/// A certificate with this authority, signed by this key.
fn pair(name: &str, up: &[u8], key: &Template) -> Result<Identity> {
    Template::new(name)?
        .extended(authority(Some(up), None))
        .issued_by(&key.key)
}

/// Certificates that name each other.
fn loops(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let content = &kitchen.content;
    // A ring: each is signed by the next, the last by the first.
    for size in [1, 2, 3, 5, 16, 40] {
        let templates: Vec<_> = (0..size)
            .map(|index| Template::new(&format!("ring {size} {index}")))
            .collect::<Result<_>>()?;
        for by_serial in [false, true] {
            let ring: Vec<_> = (0..size)
                .map(|index| {
                    let next = &templates[(index + 1) % size];
                    let serial = (&next.issuer[2..], &next.serial[..]);
                    let extension = match by_serial {
                        true => authority(None, Some(serial)),
                        false => authority(Some(&next.key_id), None),
                    };
                    let this = templates[index].clone().extended(extension);
                    this.issued_by(&next.key)
                })
                .collect::<Result<_>>()?;
            let all: Vec<_> = ring.iter().collect();
            let how = if by_serial { "serial" } else { "key id" };
            let name = format!("ring of {size} by {how}");
            let first = ring[0].signs(content)?;
            let second = ring[size - 1].signs(content)?;
            case(out, &name, std::slice::from_ref(&first), &all)?;
            let both = [first.clone(), second.clone()];
            case(out, &format!("{name}, two signers in it"), &both, &all)?;
            let both = [second, first.clone()];
            case(
                out,
                &format!("{name}, two signers in it, other order"),
                &both,
                &all,
            )?;
            let with_good = [first, kitchen.signs("rsa2048")?];
            case(
                out,
                &format!("{name}, and a trusted signer"),
                &with_good,
                &all,
            )?;
        }
    }
    // One that names itself, without being self-signed by name.
    let own = Template::new("own")?;
    let identity = pair("own", &own.key_id, &own)?;
    case(
        out,
        "names itself, signed by another",
        &[identity.signs(content)?],
        &[&identity],
    )?;
    // A ring with a way in and a trusted member: the trusted key signs what is below it.
    let (ca, template) = (kitchen.id("ca"), Template::new("ring ca")?);
    let mut below = template.clone();
    below.extensions.push(authority(Some(&ca.key_id), None));
    let below = below.issued_by(&ca.key)?;
    let twin = Template::for_key("ca's twin", ca.key.clone())?;
    let mut twin = Template {
        key_id: ca.key_id.clone(),
        ..twin
    };
    twin.extensions = vec![
        extension(oid::SUBJECT_KEY_ID, &tlv(4, &ca.key_id)),
        authority(Some(&below.key_id), None),
    ];
    let twin = twin.issued_by(&below.key)?;
    let parts = [below.signs(content)?];
    case(
        out,
        "ring with another certificate of ca's key",
        &parts,
        &[&below, &twin],
    )?;
    case(
        out,
        "ring with another certificate of ca's key, the signer",
        &{ [twin.signs(content)?] },
        &[&below, &twin],
    )
}

/// Long chains and many certificates.
fn lengths(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let content = &kitchen.content;
    for (top, up) in [("ca", kitchen.id("ca")), ("root", kitchen.id("root"))] {
        let mut chain: Vec<Identity> = vec![];
        for length in 1..=40 {
            let above = chain.last().unwrap_or(up);
            let template = Template::new(&format!("chain {top} {length}"))?.below(above);
            chain.push(template.issued_by(&above.key)?);
            if ![1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 40].contains(&length) {
                continue;
            }
            let parts = match chain.last() {
                Some(last) => [last.signs(content)?],
                None => continue,
            };
            let down: Vec<_> = chain.iter().rev().collect();
            let up: Vec<_> = chain.iter().collect();
            let name = format!("chain of {length} below {top}");
            case(out, &name, &parts, &down)?;
            case(out, &format!("{name}, topmost first"), &parts, &up)?;
            if length > 2 {
                let gap = [&down[..1], &down[2..]].concat();
                case(out, &format!("{name}, one missing"), &parts, &gap)?;
            }
        }
    }
    let good = [kitchen.signs("rsa2048")?];
    let stray = kitchen.id("stray");
    for count in [2, 8, 15, 16, 17, 32, 33, 40] {
        case(
            out,
            &format!("{count} certificates beside"),
            &good,
            &vec![stray; count],
        )?;
        let others: Vec<_> = [vec![stray; count - 1], vec![kitchen.id("leaf")]].concat();
        let parts = [kitchen.signs("leaf")?];
        case(
            out,
            &format!("leaf's is the last of {count} certificates"),
            &parts,
            &others,
        )?;
    }
    Ok(())
}

/// Certificates that look like others.
fn impostors(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let content = &kitchen.content;
    for name in [
        "rsa2048",
        "p256",
        "ca",
        "leaf",
        "revoked",
        "revoked-leaf",
        "blocked",
        "inter",
    ] {
        let real = kitchen.id(name);
        let look_alike = |with_key_id: bool, self_signed: bool| -> Result<Identity> {
            let mut template = Template::new(&format!("like {name}"))?;
            template.issuer = tlv(0x30, &real.issuer);
            template.serial = real.serial.clone();
            if self_signed {
                template.subject = template.issuer.clone();
            }
            if with_key_id {
                template.key_id = real.key_id.clone();
                template.extensions[2] = extension(oid::SUBJECT_KEY_ID, &tlv(4, &real.key_id));
            }
            let key = template.key.clone();
            let mut identity = template.issued_by(&key)?;
            identity.issuer = real.issuer.clone();
            Ok(identity)
        };
        for (with_key_id, self_signed) in
            [(true, false), (false, false), (true, true), (false, true)]
        {
            let fake = look_alike(with_key_id, self_signed)?;
            let what = format!(
                "another key under {name}'s name, {} key id, {}",
                if with_key_id { "its" } else { "another" },
                if self_signed {
                    "self-signed"
                } else {
                    "not self-signed"
                }
            );
            let fakes = [fake.signs(content)?];
            let reals = [kitchen.signs(name)?];
            case(out, &format!("{what}: signs"), &fakes, &[&fake])?;
            case(
                out,
                &format!("{what}: signs, real one beside"),
                &fakes,
                &[&fake, real],
            )?;
            case(
                out,
                &format!("{what}: signs, real one first"),
                &fakes,
                &[real, &fake],
            )?;
            case(out, &format!("{what}: real one signs"), &reals, &[&fake])?;
            let after = format!("{what}: real one signs, its own after");
            case(out, &after, &reals, &[&fake, real])?;
            let before = format!("{what}: real one signs, its own before");
            case(out, &before, &reals, &[real, &fake])?;
            // Below the impostor, by the key id that both have.
            let below = Template::new(&format!("below like {name}"))?.below(real);
            let below = below.issued_by(&fake.key)?;
            let parts = [below.signs(content)?];
            case(out, &format!("{what}: issues"), &parts, &[&below, &fake])?;
        }
    }
    Ok(())
}

/// What is in a signer's certificate, and C does not ask: dates, and what the key is for.
fn fields(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let (ca, content) = (kitchen.id("ca"), &kitchen.content);
    let plain = Template::new("fields")?.below(ca);
    let with = |change: &dyn Fn(&mut Template)| {
        let mut template = plain.clone();
        change(&mut template);
        template.issued_by(&ca.key)
    };
    let time = |text: &[u8]| tlv(0x17, text);
    let usage = |value: &[u8]| {
        vec![
            extension(oid::KEY_USAGE, value),
            authority(Some(&ca.key_id), None),
        ]
    };
    for (name, identity) in [
        ("expired", with(&|t| t.not_after = time(b"240102000000Z"))?),
        (
            "not yet good",
            with(&|t| t.not_before = time(b"481231000000Z"))?,
        ),
        (
            "ends before it starts",
            with(&|t| {
                t.not_before = time(b"481231000000Z");
                t.not_after = time(b"240102000000Z");
            })?,
        ),
        (
            "for signing certificates only",
            with(&|t| t.extensions = usage(&[3, 2, 2, 4]))?,
        ),
        (
            "for nothing",
            with(&|t| t.extensions = usage(&[3, 2, 7, 0]))?,
        ),
        ("of version 1", with(&|t| t.version = vec![])?),
        (
            "of version 1 without extensions",
            with(&|t| {
                t.version = vec![];
                t.extensions = vec![];
            })?,
        ),
        (
            "of version 9",
            with(&|t| t.version = tlv(0xa0, &tlv(2, &[8])))?,
        ),
        (
            "with an empty version",
            with(&|t| t.version = tlv(0xa0, &[]))?,
        ),
        (
            "with a version of two bytes",
            with(&|t| t.version = tlv(0xa0, &tlv(2, &[0, 2])))?,
        ),
        (
            "without a version's wrapping",
            with(&|t| t.version = tlv(2, &[2]))?,
        ),
        ("with an empty serial number", with(&|t| t.serial = vec![])?),
        (
            "with a serial number of zero",
            with(&|t| t.serial = vec![0])?,
        ),
        (
            "with a padded serial number",
            with(&|t| t.serial = vec![0, 0, 1])?,
        ),
        (
            "with a negative serial number",
            with(&|t| t.serial = vec![0x80])?,
        ),
        (
            "with a serial number of 4000 bytes",
            with(&|t| t.serial = vec![1; 4000])?,
        ),
        (
            "with an empty subject",
            with(&|t| t.subject = sequence(&[]))?,
        ),
        ("with an empty issuer", with(&|t| t.issuer = sequence(&[]))?),
        (
            "with empty names",
            with(&|t| {
                t.issuer = sequence(&[]);
                t.subject = sequence(&[]);
            })?,
        ),
        (
            "with a subject of an empty SET",
            with(&|t| t.subject = sequence(&[&[0x31, 0]]))?,
        ),
        (
            "with a common name of no letters",
            with(&|t| t.subject = craft::name(""))?,
        ),
        (
            "with a common name of 255 letters",
            with(&|t| t.subject = craft::name(&"x".repeat(255)))?,
        ),
        (
            "with a common name of 256 letters",
            with(&|t| t.subject = craft::name(&"x".repeat(256)))?,
        ),
        (
            "with a common name of 300 letters",
            with(&|t| t.subject = craft::name(&"x".repeat(300)))?,
        ),
        (
            "with a common name of 60000 letters",
            with(&|t| t.subject = craft::name(&"x".repeat(60_000)))?,
        ),
        (
            "with two keys' worth of extensions",
            with(&|t| {
                let again = t.extensions[0].clone();
                t.extensions.extend(vec![again; 50]);
            })?,
        ),
    ] {
        case(
            out,
            &format!("signer {name}"),
            &[identity.signs(content)?],
            &[&identity],
        )?;
        let beside = [kitchen.signs("rsa2048")?];
        case(
            out,
            &format!("certificate beside {name}"),
            &beside,
            &[&identity],
        )?;
    }
    // Who is no authority, and issues.
    for name in [
        "p256",
        "rsa2048",
        "leaf",
        "blocked",
        "revoked",
        "revoked-leaf",
        "stray",
        "inter",
    ] {
        let up = kitchen.id(name);
        let identity = Template::new(&format!("below {name}"))?
            .below(up)
            .issued_by(&up.key)?;
        let parts = [identity.signs(content)?];
        case(out, &format!("below {name}"), &parts, &[&identity])?;
        case(
            out,
            &format!("below {name}, which is beside"),
            &parts,
            &[&identity, up],
        )?;
    }
    Ok(())
}

/// Algorithms in certificates.
fn algorithms(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    use DigestAlgorithm::*;
    let content = &kitchen.content;
    let good = [kitchen.signs("rsa2048")?];
    for up in ["ca", "rsa4096", "p256", "p384", "p521", "root"] {
        for digest in [
            Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_384, Sha3_512,
        ] {
            let issuer = kitchen.id(up);
            let name = format!("{up} {}", digest.name());
            let template = Template::new(&name)?.below(issuer);
            let identity = template.issued_with(&issuer.key, digest)?;
            let parts = [identity.signs(content)?];
            case(out, &format!("signed by {name}"), &parts, &[&identity])?;
            case(
                out,
                &format!("signed by {name}, beside"),
                &parts,
                &[&identity, issuer],
            )?;
            case(
                out,
                &format!("certificate beside, signed by {name}"),
                &good,
                &[&identity],
            )?;
        }
    }
    let ca = kitchen.id("ca");
    let plain = Template::new("algorithms")?.below(ca);
    let rsa = certificate_algorithm(&ca.key, Sha256);
    let ecdsa = certificate_algorithm(&kitchen.id("p256").key, Sha256);
    let unknown = algorithm(oid::UNKNOWN, &[]);
    let sha256_rsa = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b];
    let nist = |arc| algorithm(&[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, arc], &[]);
    for (name, inner, outer) in [
        ("unknown in both places", unknown.clone(), unknown.clone()),
        ("unknown inside", unknown.clone(), rsa.clone()),
        ("unknown outside", rsa.clone(), unknown.clone()),
        ("RSA inside, ECDSA outside", rsa.clone(), ecdsa.clone()),
        ("ECDSA in both places", ecdsa.clone(), ecdsa),
        (
            "without parameters",
            algorithm(&sha256_rsa, &[]),
            algorithm(&sha256_rsa, &[]),
        ),
        (
            "without parameters inside",
            algorithm(&sha256_rsa, &[]),
            rsa.clone(),
        ),
        (
            "with other parameters",
            algorithm(&sha256_rsa, &[0x30, 0]),
            algorithm(&sha256_rsa, &[0x30, 0]),
        ),
        ("empty", sequence(&[]), sequence(&[])),
        ("empty outside", rsa, sequence(&[])),
        ("ML-DSA-44", nist(17), nist(17)),
        ("ML-DSA-65", nist(18), nist(18)),
        (
            "Ed25519",
            algorithm(&[0x2b, 0x65, 0x70], &[]),
            algorithm(&[0x2b, 0x65, 0x70], &[]),
        ),
        (
            "rsaEncryption",
            algorithm(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]),
            { algorithm(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]) },
        ),
        (
            "streebog256 with GOST",
            algorithm(&[0x2a, 0x85, 3, 7, 1, 1, 3, 2], &[]),
            { algorithm(&[0x2a, 0x85, 3, 7, 1, 1, 3, 2], &[]) },
        ),
    ] {
        let mut template = plain.clone();
        template.inner = Some(inner);
        template.outer = Some(outer);
        let identity = template.issued_by(&ca.key)?;
        let parts = [identity.signs(content)?];
        case(
            out,
            &format!("certificate's algorithm {name}"),
            &parts,
            &[&identity],
        )?;
        case(
            out,
            &format!("certificate beside, algorithm {name}"),
            &good,
            &[&identity],
        )?;
    }
    // Public keys of other kinds.
    let curve = |arc: &[u8]| algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1], arc);
    let point = [&[0, 4][..], &[7; 64]].concat();
    for (name, key_algorithm, key) in [
        (
            "P-192",
            curve(&tlv(6, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 1])),
            point.clone(),
        ),
        (
            "P-224",
            curve(&tlv(6, &[0x2b, 0x81, 4, 0, 0x21])),
            point.clone(),
        ),
        (
            "secp256k1",
            curve(&tlv(6, &[0x2b, 0x81, 4, 0, 0x0a])),
            point.clone(),
        ),
        ("EC without a curve", curve(&[]), point.clone()),
        ("EC with NULL for a curve", curve(&[5, 0]), point.clone()),
        ("EC with an empty curve", curve(&[6, 0]), point.clone()),
        (
            "EC with a curve given by its numbers",
            curve(&sequence(&[&tlv(2, &[1])])),
            point.clone(),
        ),
        ("unknown", algorithm(oid::UNKNOWN, &[]), point.clone()),
        (
            "Ed25519",
            algorithm(&[0x2b, 0x65, 0x70], &[]),
            [&[0][..], &[7; 32]].concat(),
        ),
        (
            "GOST",
            algorithm(&[0x2a, 0x85, 3, 7, 1, 1, 1, 1], &[]),
            point.clone(),
        ),
        (
            "DSA",
            algorithm(&[0x2a, 0x86, 0x48, 0xce, 0x38, 4, 1], &[]),
            point.clone(),
        ),
        ("ML-DSA-44", nist(17), [&[0][..], &[7; 1312]].concat()),
        (
            "RSA with nonsense",
            algorithm(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], &[5, 0]),
            point,
        ),
    ] {
        for up in ["ca", "root"] {
            let issuer = kitchen.id(up);
            let mut template = Template::new("public keys")?.below(issuer);
            template.public_key = sequence(&[&key_algorithm, &tlv(3, &key)]);
            let identity = template.issued_by(&issuer.key)?;
            let parts = [identity.signs(content)?];
            let name = format!("public key {name}, below {up}");
            case(out, &name, &parts, &[&identity])?;
            case(
                out,
                &format!("{name}, certificate beside"),
                &good,
                &[&identity],
            )?;
            let both = [&identity, issuer];
            case(
                out,
                &format!("{name}, certificate and issuer beside"),
                &good,
                &both,
            )?;
        }
        // Self-signed, in name: whether the reader checks it decides.
        let mut template = Template::new("public keys")?;
        template.public_key = sequence(&[&key_algorithm, &tlv(3, &key)]);
        template.subject = template.issuer.clone();
        let identity = template.issued_by(&kitchen.id("root").key)?;
        case(
            out,
            &format!("public key {name}, self-signed, beside"),
            &good,
            &[&identity],
        )?;
    }
    Ok(())
}

/// What C may let in and should not, with the same without the trick beside each.
fn holes(kitchen: &Kitchen, out: &mut Corpus) -> Result<()> {
    let content = &kitchen.content;

    // A: a digest algorithm that is not built in leaves the certificate's digest empty, and the
    // signature is checked all the same. This one is good for 0, and took no private key. Which
    // algorithms are missing depends on the kernel.
    for up in ["p256", "p384", "p521"] {
        use DigestAlgorithm::*;
        for digest in [
            Sha1, Sha224, Sha256, Sha384, Sha512, Sha3_256, Sha3_384, Sha3_512,
        ] {
            let issuer = kitchen.id(up);
            let mut template = Template::new(&format!("hole a {up} {}", digest.name()))?;
            template = template.below(issuer);
            template.inner = Some(certificate_algorithm(&issuer.key, digest));
            let identity = template.with_signature(&forge_for_zero(&issuer.key)?);
            let parts = [identity.signs(content)?];
            let name = format!(
                "hole A: {up}'s signature forged for an empty {}",
                digest.name()
            );
            case(out, &name, &parts, &[&identity])?;
            case(
                out,
                &format!("{name}, {up} beside"),
                &parts,
                &[&identity, issuer],
            )?;
        }
    }

    // B: another signer, of whom nothing is known, makes C forget that one is blacklisted.
    let unknown = kitchen.signs("untrusted")?;
    for (signer, certificates) in [
        ("blocked", vec!["blocked"]),
        ("leaf3", vec!["leaf3", "inter-blocked"]),
    ] {
        let identities: Vec<_> = certificates.iter().map(|name| kitchen.id(name)).collect();
        let parts = kitchen.signs(signer)?;
        let name = format!("hole B: {signer} is blacklisted");
        case(out, &name, std::slice::from_ref(&parts), &identities)?;
        for (order, signers) in [
            ("then one unknown", [parts.clone(), unknown.clone()]),
            ("first one unknown", [unknown.clone(), parts.clone()]),
        ] {
            case(out, &format!("{name}, {order}"), &signers, &identities)?;
        }
    }
    // The same with a certificate that one blocked has issued.
    let blocked = kitchen.id("blocked");
    let below = Template::new("below blocked")?
        .below(blocked)
        .issued_by(&blocked.key)?;
    let parts = below.signs(content)?;
    let both = [&below, blocked];
    case(
        out,
        "hole B: below blocked, then one unknown",
        &[parts, unknown.clone()],
        &both,
    )?;

    // C and D: a second revoked signer whose signature is wrong makes the search in the revocation
    // list end in an error, which is taken for "not revoked". Here that second one is trusted by
    // nobody, so it does not disturb later on.
    let spoiler = kitchen.signs_wrongly("revoked-leaf")?;
    let revoked = kitchen.signs("revoked")?;
    for (name, signers) in [
        ("alone", vec![revoked.clone()]),
        (
            "then another, wrong",
            vec![revoked.clone(), spoiler.clone()],
        ),
        ("first another, wrong", vec![spoiler.clone(), revoked]),
    ] {
        case(
            out,
            &format!("hole D: revoked and trusted, {name}"),
            &signers,
            &[],
        )?;
    }
    // And what was found to be revoked stays marked as verified, so that a second signer below the
    // same certificate is taken for trusted, though nobody trusts any of them.
    let revoked = kitchen.id("revoked-leaf");
    let below = Template::new("below revoked")?
        .below(revoked)
        .issued_by(&revoked.key)?;
    let parts = below.signs(content)?;
    for (name, signers) in [
        ("alone", vec![parts.clone()]),
        ("twice", vec![parts.clone(), parts.clone()]),
        ("then another, wrong", vec![parts.clone(), spoiler.clone()]),
        (
            "twice, then another, wrong",
            vec![parts.clone(), parts.clone(), spoiler.clone()],
        ),
        (
            "between, another, wrong",
            vec![parts.clone(), spoiler.clone(), parts.clone()],
        ),
    ] {
        case(
            out,
            &format!("hole C: below revoked and not trusted, {name}"),
            &signers,
            &[&below],
        )?;
    }
    // A certificate whose authority's two names do not agree has the same effect, by an error of
    // the search itself.
    let serial = (&revoked.issuer[..], &revoked.serial[..]);
    let other = &kitchen.id("root").key_id[..];
    let template = Template::new("names two")?.extended(authority(Some(other), Some(serial)));
    let odd = template.issued_by(&kitchen.id("root").key)?;
    let odd_parts = odd.signs(content)?;
    let signers = [kitchen.signs("revoked")?, odd_parts.clone()];
    case(
        out,
        "hole D: revoked and trusted, then one with two authorities",
        &signers,
        &[&odd],
    )?;
    let signers = [parts.clone(), parts, odd_parts];
    let certificates = [&below, &odd];
    let name = "hole C: below revoked and not trusted, twice, then one with two authorities";
    case(out, name, &signers, &certificates)?;

    // G: the validity of a certificate may end after its first time. Refused beside it is one that ends
    // in something else, or goes on.
    let issuer = kitchen.id("p256");
    for (name, not_after) in [
        ("no end", vec![]),
        ("a NULL for the end", vec![5, 0]),
        ("a third time", tlv(0x17, b"490101000000Z").repeat(2)),
    ] {
        let mut template = Template::new(&format!("hole g {name}"))?.below(issuer);
        template.not_after = not_after;
        let identity = template.issued_by(&issuer.key)?;
        let parts = [identity.signs(content)?];
        case(
            out,
            &format!("hole G: {name} of its validity"),
            &parts,
            &[&identity],
        )?;
    }
    Ok(())
}
