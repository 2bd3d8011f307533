// SPDX-License-Identifier: GPL-2.0 OR MIT

//! Error numbers; older trees lack some in `kernel::error::code`.

use core::{ffi::c_int, ptr::NonNull};

use kernel::bindings;

use crate::verify::{Class, PlatformError};

/// What a refused module is answered with.
pub(crate) const EKEYREJECTED: c_int = -(bindings::EKEYREJECTED as c_int);
pub(super) const ENOENT: c_int = -(bindings::ENOENT as c_int);
pub(super) const ENOKEY: c_int = -(bindings::ENOKEY as c_int);
pub(super) const ENOMEM: c_int = -(bindings::ENOMEM as c_int);
pub(super) const ENOPKG: c_int = -(bindings::ENOPKG as c_int);

/// The (negative) error number of a class.
pub(crate) fn from_class(class: Class) -> c_int {
    match class {
        Class::NoData => -(bindings::ENODATA as c_int),
        Class::NoPackage => ENOPKG,
        Class::MessageSize => -(bindings::EMSGSIZE as c_int),
        Class::NoKey => ENOKEY,
        Class::BadMessage => -(bindings::EBADMSG as c_int),
        Class::Invalid => -(bindings::EINVAL as c_int),
        Class::TooLarge => -(bindings::EFBIG as c_int),
        Class::Rejected => EKEYREJECTED,
        Class::Platform(errno) => errno,
    }
}

/// The result of a C function that returns 0 or a negative error number. A positive one would be a
/// success for whoever called finit_module(2), with nothing loaded: it is EINVAL.
pub(super) fn from_int(result: c_int) -> Result<(), PlatformError> {
    match result {
        0 => Ok(()),
        errno if errno < 0 => Err(PlatformError(errno)),
        _ => Err(PlatformError(-(bindings::EINVAL as c_int))),
    }
}

/// The result of a C function that returns a pointer or `ERR_PTR()`, never null.
pub(super) fn from_ptr<T>(ptr: *mut T) -> Result<NonNull<T>, PlatformError> {
    const LOWEST: isize = -(bindings::MAX_ERRNO as isize);
    match ptr as isize {
        // The range makes sure that the number fits.
        errno @ LOWEST..=-1 => Err(PlatformError(errno as c_int)),
        // No C function that is used here returns null, and none may be taken for a success.
        _ => NonNull::new(ptr).ok_or(PlatformError(ENOMEM)),
    }
}
