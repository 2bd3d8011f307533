// SPDX-License-Identifier: MIT OR Apache-2.0

//! Error numbers by their names.

/// The name of an error number, if it is one that loading a module gives.
pub fn errno_name(errno: u32) -> String {
    match ERRORS.iter().find(|(number, ..)| *number == errno) {
        Some((_, name, _)) => (*name).to_owned(),
        None => format!("error {errno}"),
    }
}

/// The name of the error number that kmod has these words for.
pub fn error_of(words: &str) -> Option<&'static str> {
    // Those that insmod has of its own, and those of the C library.
    match words {
        "Invalid parameters" => return Some("EINVAL"),
        "Unknown symbol in module" => return Some("ENOENT"),
        "Exec format error" => return Some("ENOEXEC"),
        _ => {}
    }
    let found = ERRORS.iter().find(|(_, _, own)| *own == words);
    found.map(|(_, name, _)| *name)
}

/// The error numbers that loading a module gives (asm-generic/errno*.h), and kmod's words for
/// them.
pub(super) const ERRORS: [(u32, &str, &str); 16] = [
    (1, "EPERM", "Operation not permitted"),
    (
        2,
        "ENOENT",
        "Unknown symbol in module, or unknown parameter (see dmesg)",
    ),
    (8, "ENOEXEC", "Invalid module format"),
    (12, "ENOMEM", "Cannot allocate memory"),
    (13, "EACCES", "Permission denied"),
    (16, "EBUSY", "Device or resource busy"),
    (17, "EEXIST", "File exists"),
    (22, "EINVAL", "Invalid argument"),
    (27, "EFBIG", "File too large"),
    (61, "ENODATA", "No data available"),
    (65, "ENOPKG", "Package not installed"),
    (74, "EBADMSG", "Bad message"),
    (90, "EMSGSIZE", "Message too long"),
    (126, "ENOKEY", "Required key not available"),
    (128, "EKEYREVOKED", "Key has been revoked"),
    (129, "EKEYREJECTED", "Key was rejected by service"),
];
