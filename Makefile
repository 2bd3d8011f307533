# SPDX-License-Identifier: GPL-2.0
# The front door.  Everything it calls can be called by hand as well.

CARGO ?= cargo
ARCH ?= x86_64
KERNEL ?= 6.12
SCENARIO ?=
SEED ?= 1
TIME ?= 60
cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modsig

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile | expand -t 24

setup: ## install what is missing (Debian 12 and 13)
	scripts/setup

demo: setup ## boot a kernel with modsig, insert good and bad modules [SCENARIO=all] [ARCH=arm64] [KERNEL=7.3]
ifeq ($(SCENARIO),)
	$(CARGO) run --quiet --locked -p modsig-qemu -- boots --arch $(ARCH) --kernel $(KERNEL)
	$(CARGO) run --quiet --locked -p modsig-qemu -- page
else
	$(CARGO) run --quiet --locked -p modsig-qemu -- page --arch $(ARCH) --kernel $(KERNEL) $(SCENARIO)
endif

test: setup ## everything that CI runs
	$(CARGO) fmt --all --check
	rustfmt --check --edition 2021 rust/modsig/modsig.rs
	$(CARGO) clippy --quiet --workspace --all-targets --locked -- -D warnings
	$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml --check
	scripts/check/unsafe
	$(CARGO) test --quiet --workspace --locked
	CARGO_TARGET_DIR=$(cache)/vendored $(CARGO) test --quiet --locked -p modsig-tools --features vendored --test mldsa
	scripts/test/integrate
	set -e; for kernel in "6.12 x86_64 permissive" "6.12 x86_64 hashes" "6.12 x86_64 hashes-only" \
			"6.12 arm64 permissive" "7.3 x86_64 permissive"; do \
		dir=$$(scripts/build/kernel $$kernel | tail -n 1); \
		scripts/check/panic-free "$$dir/modsig.o"; \
	done
	scripts/check/kernel 6.12
	scripts/test/kbuild
	scripts/test/hashes
	scripts/test/dkms
	scripts/test/deb
	$(CARGO) run --quiet --locked -p modsig-qemu -- boots --quiet
	$(CARGO) run --quiet --locked -p modsig-qemu -- boots --quiet --arch arm64
	$(CARGO) run --quiet --locked -p modsig-qemu -- boots --quiet --kernel 7.3
	$(CARGO) run --quiet --locked -p modsig-qemu -- boots --quiet --c
	$(CARGO) run --quiet --locked -p modsig-qemu -- compare --reduced
	$(CARGO) run --quiet --locked -p modsig-qemu -- page --quiet all
	$(CARGO) run --quiet --locked -p modsig-qemu -- page --quiet --arch arm64 all

compare: setup ## the C verifier and this one, given the same files [ARCH=arm64] [KERNEL=7.3] [SEED=2]
	$(CARGO) run --quiet --locked -p modsig-qemu -- compare --arch $(ARCH) --kernel $(KERNEL) --seed $(SEED)

bench: setup ## time signing and hashing 4,000 modules; count what checking one costs in the guest [ARCH=arm64] [KERNEL=7.3]
	$(CARGO) bench --quiet --locked -p modsig-tools --bench signing
	$(CARGO) bench --quiet --locked -p modsig-tools --bench hashes
	$(CARGO) run --quiet --locked -p modsig-qemu -- cost --arch $(ARCH) --kernel $(KERNEL)

report: ## write build/report.html of the last runs
	$(CARGO) run --quiet --locked -p modsig-qemu -- report

fuzz: setup ## fuzz the verifier, each of five targets for TIME seconds [TIME=60]
	scripts/tools/fuzz $(TIME)

asan: ## run the verifier's tests under AddressSanitizer (wants a toolchain from rustup)
	scripts/tools/asan

miri: ## run the verifier's tests under Miri (wants a nightly toolchain)
	scripts/tools/miri

instruments: setup ## the verifier in a kernel with KASAN, UBSAN, lockdep, kmemleak, injected failures [ARCH=] [KERNEL=]
	$(CARGO) run --quiet --locked -p modsig-qemu -- instruments --arch $(ARCH) --kernel $(KERNEL)

deb: setup ## make a Debian package of the host tool, in build
	scripts/build/deb

integrate: ## put modsig into the kernel tree KDIR=
	@scripts/integrate "$(KDIR)"

deintegrate: ## take modsig out of the kernel tree KDIR=
	@scripts/deintegrate "$(KDIR)"

clean: ## remove generated files, test keys included
	rm -rf target build "$(cache)/keys"

distclean: clean ## remove downloads, tools and kernel builds as well
	rm -rf "$(cache)"

.PHONY: help setup demo test compare bench report fuzz asan miri instruments deb integrate deintegrate clean distclean
