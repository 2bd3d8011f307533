# SPDX-License-Identifier: GPL-2.0
# The front door.  Everything it calls can be called by hand as well.

CARGO ?= cargo
ARCH ?= x86_64
KERNEL ?= 6.12
SCENARIO ?=
SEED ?= 1
MESSAGES ?= 300000
TIME ?= 60
FLAVOUR ?= cloud-amd64
cache := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/modsig
qemu := $(CARGO) run --quiet --locked -p modsig-qemu --

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1	\2/p' Makefile | expand -t 24

setup: ## install what is missing (Debian 12 and 13)
	@scripts/setup

# All but what has to be compiled, which is a step.
packages:
	@scripts/setup --packages

demo: setup ## boot a kernel with modsig, insert good and bad modules [SCENARIO=all] [ARCH=arm64] [KERNEL=7.3]
ifeq ($(SCENARIO),)
	$(qemu) boots --arch $(ARCH) --kernel $(KERNEL)
	$(qemu) page
else ifeq ($(SCENARIO),secure-boot)
	$(qemu) secure-boot --arch $(ARCH) --kernel $(KERNEL)
else ifeq ($(SCENARIO),debian)
	scripts/test/disk cloud-amd64
else
	$(qemu) page --arch $(ARCH) --kernel $(KERNEL) $(SCENARIO)
endif

test: packages ## everything that CI runs; what has not changed since it passed is left [FRESH=1]
	+@$(call run,$(TEST))

test-all: packages ## that, and everything else that can be tested here: hours [FRESH=1]
	+@$(call run,$(TEST) $(TEST_ALL))

kernels: packages ## build the test kernels of "make test"
	+@$(call run,bindgen $(filter kernel-%,$(TEST)))

# Two steps at a time.  Each builds with as many jobs as there are processors, since much of what
# they do (linking, booting, Rust's core) takes one.
run = export RUN=$$(date -u +%Y-%m-%dT%H:%M:%SZ)-$$$$; status=0; \
	$(MAKE) --no-print-directory -j$(LANES) $(1) || status=$$?; scripts/step --sum; exit $$status
LANES ?= 2

# The steps.  Documentation/testing.md says what each shows and how long it takes.  They are begun in
# this order, and each waits for what its rule names.
PAGES := $(patsubst Documentation/scenarios/%.md,%,$(shell grep -l '^```kconfig' Documentation/scenarios/*.md))
# Those that show what no other step does: how an administrator asks, and a key for one build.  The developer page
# compiles most of a kernel anew; kernels that trust a key are built in test-kbuild, those with hashes in test-hashes,
# and tokens, revoked keys and releases are in test-tools and in the boots.
PAGES_TEST := $(patsubst %,page-6.12-x86_64-%,administrator one-time-key)
# make goes through the list once, and comes back only at its end for what had to wait for another step: so
# what needs bindgen stands behind what takes as long as that.
TEST := bindgen downloads fmt unsafe licences clippy test-verifier \
	kernel-6.12-x86_64-permissive kernel-7.3-x86_64-permissive kernel-6.12-arm64-permissive \
	kernel-6.12-x86_64-c kernel-6.12-x86_64-hashes kernel-6.12-x86_64-hashes-only kernel-6.12-x86_64-force \
	differ-6.12 differ-7.3 test-harness test-integrate \
	boots-6.12-x86_64 why-reduced test-kbuild-6.12 \
	kernel-6.12-arm64-hashes kernel-7.3-x86_64-hashes \
	test-tools boots-6.12-arm64 boots-7.3-x86_64 boots-6.12-x86_64-c compare-reduced test-root \
	check-lint-6.12 check-off-6.12 panic-free stack test-hashes test-dkms \
	$(PAGES_TEST)
# Those of the full matrix that "make test" does not build.
MATRIX := 6.12-arm64-force 6.12-arm64-hashes-only 6.12-arm64-c 7.3-x86_64-force 7.3-x86_64-hashes-only 7.3-x86_64-c \
	7.3-arm64-permissive 7.3-arm64-force 7.3-arm64-hashes 7.3-arm64-hashes-only 7.3-arm64-c 7.3-x86_64-debug \
	7.2-x86_64-permissive 7.2-x86_64-force 7.2-x86_64-hashes 7.2-x86_64-hashes-only 7.2-x86_64-c \
	7.2-arm64-permissive 7.2-arm64-force 7.2-arm64-hashes 7.2-arm64-hashes-only 7.2-arm64-c \
	6.12-x86_64-c-fixed 7.2-x86_64-c-fixed 7.3-x86_64-c-fixed 6.12-x86_64-hashes-integrity 6.12-x86_64-c-integrity \
	7.3-x86_64-hashes-integrity 6.12-arm64-hashes-integrity
TEST_ALL := crates fuzz-check differ-weakenings vendored rust-1.85 test-deb test-kbuild-7.3 \
	$(MATRIX:%=kernel-%) kernel-6.12-x86_64-no-keys panic-free-all stack-all test-integrate-7.2 check-lint-7.2 check-off-7.2 check-lint-7.3 check-off-7.3 configurations-6.12 configurations-7.2 configurations-7.3 c-from-nothing \
	boots-all-6.12-x86_64 boots-all-6.12-arm64 boots-all-7.2-x86_64 boots-all-7.2-arm64 boots-7.2-x86_64-c \
	boots-all-7.3-x86_64 boots-all-7.3-arm64 boots-7.3-x86_64-c no-keys images-7.3-arm64 debian-kernels test-tools-large \
	compare-6.12-x86_64 compare-6.12-arm64 compare-7.2-x86_64 compare-7.2-arm64 compare-7.3-x86_64 compare-7.3-arm64 \
	why-6.12 c-fixed-6.12 c-fixed-7.2 c-fixed-7.3 test-series series-check integrity-6.12 \
	secure-boot-6.12-x86_64 secure-boot-7.3-x86_64 secure-boot-6.12-arm64 instruments-7.3-x86_64 \
	distro-cloud-amd64 distro-amd64 distro-arm64 disk-cloud-amd64 \
	$(filter-out $(PAGES_TEST),$(PAGES:%=page-6.12-x86_64-%) $(PAGES:%=page-6.12-arm64-%)) \
	$(PAGES:%=page-7.3-x86_64-%) fuzz-short
STEPS := $(TEST) $(TEST_ALL)

step = @scripts/step $@
# What steps depend on, beside the kernels that are named: the verifier, the tools, the harness.
verifier := rust/modsig rust/Cargo.toml Cargo.toml Cargo.lock
tools := $(verifier) host-tools/src host-tools/Cargo.toml
package := debian host-tools/hooks host-tools/man host-tools/examples scripts/build/deb scripts/build/install \
	scripts/lib/compiled_in.py Documentation/*.md
harness := $(tools) host-tools/testing qemu scripts/get/guest-tools scripts/get/firmware scripts/get/sysroot \
	scripts/build/guest-modsig scripts/lib/apt.sh
scripts := scripts/lib scripts/integrate rust/patches
series_files := rust/modsig rust/series rust/patches/c-fixes scripts/series scripts/lib/series.py
# Those that tests by cargo look into.
test_kernels := 6.12-x86_64-permissive 6.12-x86_64-c 6.12-x86_64-hashes 6.12-x86_64-hashes-only \
	6.12-arm64-permissive 7.3-x86_64-permissive 7.3-x86_64-hashes

# SERIES, ARCH and the rest of SERIES-ARCH-REST.
series = $(word 1,$(subst -, ,$(1)))
arch = $(word 2,$(subst -, ,$(1)))
rest = $(patsubst $(call series,$(1))-$(call arch,$(1))-%,%,$(1))
target = $(call series,$(1)) $(call arch,$(1))
options = --kernel $(call series,$(1)) --arch $(call arch,$(1))

.SECONDEXPANSION:
$(sort $(filter kernel-%,$(STEPS))): kernel-%: \
		$$(filter-out kernel-$$*,kernel-$$(call series,$$*)-$$(call arch,$$*)-permissive)
	$(step) -c "scripts/build/kernel --built $(call target,$*) $(call rest,$*)" -- \
		scripts/build/kernel $(call target,$*) $(call rest,$*)

bindgen:
	$(step) -- scripts/setup
$(filter kernel-%-permissive,$(STEPS)): bindgen

# What is got from elsewhere, before anything wants it.
downloads:
	$(step) -- scripts/get/all

fmt:
	$(step) -i '*.rs' '*/Cargo.toml' -- sh -c '$(CARGO) fmt --all --check && \
		$(CARGO) fmt --manifest-path rust/fuzz/Cargo.toml --check && \
		$(CARGO) fmt --manifest-path rust/differ/Cargo.toml --check && \
		rustfmt --check --edition 2021 rust/modsig/modsig.rs'
unsafe:
	$(step) -i '*.rs' scripts/check/unsafe -- scripts/check/unsafe
licences: downloads
	$(step) -- scripts/check/licences
clippy:
	$(step) -i rust host-tools qemu Cargo.toml Cargo.lock -- \
		sh -c '$(CARGO) clippy --quiet --workspace --all-targets --locked -- -D warnings && \
		$(CARGO) clippy --quiet --manifest-path rust/differ/Cargo.toml --target-dir target/differ/clippy --locked -- -D warnings'
test-verifier:
	$(step) -i rust Cargo.toml Cargo.lock -- $(CARGO) test --quiet --locked -p modsig
differ := rust scripts/tools/differ Cargo.toml Documentation/differences.md
differ-6.12 differ-7.3: differ-%: downloads
	$(step) -i $(differ) -- scripts/tools/differ $*
differ-weakenings: downloads
	$(step) -i $(differ) -- scripts/tools/differ --weakenings 6.12 7.3
test-harness: downloads $(test_kernels:%=kernel-%)
	$(step) -i $(harness) Documentation/scenarios -k $(test_kernels) -- $(CARGO) test --quiet --locked -p modsig-qemu
test-tools: downloads $(test_kernels:%=kernel-%)
	$(step) -i $(tools) host-tools scripts/get -k $(test_kernels) -- \
		$(CARGO) test --quiet --locked -p modsig-tools -p modsig-testing
test-root: test-tools
	$(step) -i $(tools) host-tools scripts/test/root scripts/lib/testing.sh -- scripts/test/root
test-integrate:
	$(step) -i $(scripts) rust/modsig scripts/test/integrate -- scripts/test/integrate
test-series:
	$(step) -i $(series_files) scripts/lib scripts/test/series -- scripts/test/series
# All of it, in a tree of its own; what there is to see of it goes to the log.
series-check: kernel-7.3-x86_64-permissive ## write the series, and build, boot and check the kernel after each of its patches
	$(step) -i $(series_files) $(scripts) scripts/check/series scripts/get/guest-tools qemu/kernel.config qemu/keys.config \
		qemu/arch/x86_64.config qemu/series/7.config -k 7.3-x86_64-permissive -- scripts/check/series
test-integrate-7.2:
	$(step) -i $(scripts) rust/modsig scripts/test/integrate -- scripts/test/integrate 7.2

$(filter check-lint-%,$(STEPS)): check-lint-%: kernel-$$*-x86_64-hashes
	$(step) -i $(scripts) scripts/check/kernel -k $*-x86_64-hashes -- scripts/check/kernel lint $*
# The verifier's code is not compiled.
$(filter check-off-%,$(STEPS)): check-off-%: kernel-$$*-x86_64-permissive kernel-$$*-x86_64-c
	$(step) -i $(scripts) rust/modsig/Kconfig rust/modsig/Makefile rust/modsig/modsig.h scripts/check/kernel \
		-k $*-x86_64-c -- scripts/check/kernel off $*
# All that are built, but the unmodified ones.
verifiers = $(filter-out %-c %-c-fixed %-c-integrity %-debug,$(patsubst kernel-%,%,$(filter kernel-%,$(1))))
panic-free: $$(addprefix kernel-,$$(call verifiers,$$(TEST)))
	$(step) -i scripts/check/panic-free scripts/lib/objects.sh -k $(call verifiers,$(TEST)) -- scripts/check/panic-free $(call verifiers,$(TEST))
stack: $$(addprefix kernel-,$$(call verifiers,$$(TEST)))
	$(step) -i scripts/check/stack scripts/lib/objects.sh scripts/lib/stack.py -k $(call verifiers,$(TEST)) -- scripts/check/stack $(call verifiers,$(TEST))
panic-free-all: $$(addprefix kernel-,$$(call verifiers,$$(TEST_ALL)))
	$(step) -i scripts/check/panic-free scripts/lib/objects.sh -k $(call verifiers,$(TEST_ALL)) -- scripts/check/panic-free $(call verifiers,$(TEST_ALL))
$(filter configurations-%,$(STEPS)): configurations-%: kernel-%-x86_64-permissive
	$(step) -i $(scripts) scripts/check/configurations -k $*-x86_64-permissive -- scripts/check/configurations $*
stack-all: $$(addprefix kernel-,$$(call verifiers,$$(TEST_ALL)))
	$(step) -i scripts/check/stack scripts/lib/objects.sh scripts/lib/stack.py -k $(call verifiers,$(TEST_ALL)) -- scripts/check/stack $(call verifiers,$(TEST_ALL))
c-from-nothing: kernel-6.12-x86_64-c
	$(step) -i scripts/test/c-from-nothing $(scripts) -k 6.12-x86_64-c -- scripts/test/c-from-nothing 6.12 x86_64

test-kbuild-6.12: kernel-6.12-x86_64-permissive
	$(step) -i $(tools) $(scripts) scripts/test/kbuild -k 6.12-x86_64-permissive -- scripts/test/kbuild 6.12
test-kbuild-7.3: kernel-7.3-x86_64-permissive
	$(step) -i $(tools) $(scripts) scripts/test/kbuild -k 7.3-x86_64-permissive -- scripts/test/kbuild --short 7.3
test-hashes: kernel-6.12-x86_64-hashes
	$(step) -i $(harness) $(scripts) scripts/test/hashes -k 6.12-x86_64-hashes -- scripts/test/hashes 6.12
test-dkms: kernel-6.12-x86_64-permissive
	$(step) -i $(harness) $(scripts) scripts/test/dkms host-tools/hooks scripts/build/page-bin -k 6.12-x86_64-permissive -- scripts/test/dkms
test-deb: downloads
	$(step) -i $(tools) $(package) scripts/test/deb scripts/lib/apt.sh scripts/lib/transcript.py README.md -- \
		scripts/test/deb

# The boots of the kernels that "make test" builds, with releases in one mode of each; with "all", all of the
# full matrix.
flavours_6.12-x86_64 := permissive force hashes hashes-only
flavours_6.12-arm64 := permissive hashes
flavours_7.3-x86_64 := permissive hashes
comma := ,
empty :=
joined = $(subst $(empty) $(empty),$(comma),$(1))
$(filter boots-%,$(filter-out %-c,$(TEST))): boots-%: $$(addprefix kernel-$$*-,$$(flavours_$$*))
	$(step) -i $(harness) -k $(addprefix $*-,$(flavours_$*)) -- \
		$(qemu) boots --quiet --short $(call options,$*) --flavours $(call joined,$(flavours_$*))
# Those that qemu/why.toml boots.
why_flavours := permissive force hashes hashes-only c hashes-integrity
why-6.12: $(why_flavours:%=kernel-6.12-x86_64-%)
	$(step) -i $(harness) -k $(why_flavours:%=6.12-x86_64-%) -- $(qemu) why --quiet
why-reduced: kernel-6.12-x86_64-permissive kernel-6.12-x86_64-hashes
	$(step) -i $(harness) -k 6.12-x86_64-permissive 6.12-x86_64-hashes -- $(qemu) why --quiet --reduced
all_flavours := permissive force hashes hashes-only
$(filter boots-all-%,$(TEST_ALL)): boots-all-%: $$(addprefix kernel-$$*-,$$(all_flavours))
	$(step) -i $(harness) -k $(addprefix $*-,$(all_flavours)) -- $(qemu) boots --quiet $(call options,$*)
$(filter boots-%-c,$(STEPS)): boots-%-c: kernel-$$*-c
	$(step) -i $(harness) -k $*-c -- $(qemu) boots --quiet $(call options,$*) --c
compare-reduced: downloads kernel-6.12-x86_64-permissive kernel-6.12-x86_64-c
	$(step) -i $(harness) scripts/get/vectors -k 6.12-x86_64-permissive 6.12-x86_64-c -- $(qemu) compare --reduced
$(filter-out compare-reduced,$(filter compare-%,$(STEPS))): compare-%: kernel-$$*-permissive kernel-$$*-c
	$(step) -i $(harness) scripts/get/vectors -k $*-permissive $*-c -- $(qemu) compare $(call options,$*)
$(filter c-fixed-%,$(STEPS)): c-fixed-%: downloads kernel-$$*-x86_64-permissive kernel-$$*-x86_64-c-fixed
	$(step) -i $(harness) scripts/get/vectors -k $*-x86_64-permissive $*-x86_64-c-fixed -- \
		$(qemu) compare --reduced --fixed --kernel $*
integrity-6.12: downloads kernel-6.12-x86_64-hashes-integrity kernel-6.12-x86_64-c-integrity
	$(step) -i $(harness) -k 6.12-x86_64-hashes-integrity 6.12-x86_64-c-integrity -- $(qemu) integrity --quiet
$(filter secure-boot-%,$(STEPS)): secure-boot-%: downloads kernel-$$*-hashes-integrity
	$(step) -i $(harness) -k $*-hashes-integrity -- $(qemu) secure-boot --quiet $(call options,$*)
$(filter instruments-%,$(STEPS)): instruments-%: kernel-$$*-debug
	$(step) -i $(harness) scripts/get/vectors -k $*-debug -- $(qemu) instruments $(call options,$*)
$(filter page-%,$(STEPS)): page-%: kernel-$$(call series,$$*)-$$(call arch,$$*)-permissive
	$(step) -i $(harness) $(scripts) scripts/build scripts/get/pkcs11-provider Documentation/scenarios/$(call rest,$*).md \
		-k $(call series,$*)-$(call arch,$*)-permissive -- $(qemu) page --quiet $(call options,$*) $(call rest,$*)
$(filter distro-%,$(STEPS)): distro-%: downloads
	$(step) -i $(harness) $(scripts) scripts/build/distro-kernel scripts/get -- \
		sh -c 'scripts/build/distro-kernel $* && $(qemu) distro --quiet --flavour $*'
$(filter disk-%,$(STEPS)): disk-%: downloads distro-$$*
	$(step) -i $(tools) $(package) $(scripts) scripts/build scripts/get scripts/test/disk \
		Documentation/scenarios/debian.md -- \
		scripts/test/disk $*
no-keys: kernel-6.12-x86_64-no-keys
	$(step) -i $(harness) scripts/test/no-keys -k 6.12-x86_64-no-keys -- scripts/test/no-keys

# Another target directory: another OpenSSL.
crates: downloads
	$(step) -i Cargo.toml Cargo.lock rust/Cargo.toml host-tools/Cargo.toml qemu/Cargo.toml deny.toml scripts/check/crates -- scripts/check/crates
vendored:
	$(step) -i $(tools) host-tools -- env CARGO_TARGET_DIR=$(cache)/vendored \
		$(CARGO) test --quiet --locked -p modsig-tools --features vendored --test tools mldsa::
rust-1.85:
	$(step) -i rust host-tools qemu Cargo.toml Cargo.lock scripts/test/rust-1.85 scripts/lib/apt.sh -- scripts/test/rust-1.85
fuzz-check:
	$(step) -i rust scripts/tools/fuzz -- scripts/tools/fuzz --build
fuzz-short: fuzz-check
	$(step) -- scripts/tools/fuzz 12
test-tools-large:
	$(step) -i $(tools) host-tools -- $(CARGO) test --quiet --locked -p modsig-tools --test tools -- --ignored many::a_hundred_thousand_modules initrd::an_initramfs_of_zeros
images-7.3-arm64: kernel-7.3-arm64-permissive
	$(step) -i $(tools) host-tools -k 7.3-arm64-permissive -- \
		$(CARGO) test --quiet --locked -p modsig-tools --test tools -- --ignored images::kernel_7_3
# Kernels as Debian ships them: other machines' are read, and this machine's is booted.
debian-kernels:
	$(step) -i $(tools) host-tools scripts/get -- \
		$(CARGO) test --quiet --locked -p modsig-tools --test tools -- --ignored images::debian why::debian

distro-kernel: setup ## build Debian's own kernel with modsig, and load Debian's own modules [FLAVOUR=amd64|arm64]
	$(qemu) distro --flavour $(FLAVOUR)

compare: setup ## the C verifier and this one, given the same files [ARCH=arm64] [KERNEL=7.3] [SEED=2]
	$(qemu) compare --arch $(ARCH) --kernel $(KERNEL) --seed $(SEED)

differ: setup ## the C verifier and this one in user space, given the same messages [KERNEL=7.3] [MESSAGES=3000000] [SEED=2]
	scripts/tools/differ $(KERNEL) -- --messages $(MESSAGES) --seed $(SEED)

bench: setup ## time signing and hashing 4,000 modules; count what checking one costs in the guest [ARCH=arm64] [KERNEL=7.3]
	$(CARGO) bench --quiet --locked -p modsig-tools --bench signing
	$(CARGO) bench --quiet --locked -p modsig-tools --bench hashes
	$(qemu) cost --arch $(ARCH) --kernel $(KERNEL)

report: ## write build/report.html of the last runs
	$(qemu) report

fuzz: setup ## fuzz the verifier, each of six targets for TIME seconds [TIME=60]
	scripts/tools/fuzz $(TIME)

asan: ## run the verifier's tests under AddressSanitizer (wants a toolchain from rustup)
	scripts/tools/asan

miri: ## run the verifier's tests under Miri (wants a nightly toolchain)
	scripts/tools/miri

instruments: setup ## the verifier in a kernel with KASAN, UBSAN, lockdep, kmemleak, injected failures [ARCH=] [KERNEL=]
	$(qemu) instruments --arch $(ARCH) --kernel $(KERNEL)

deb: ## make a Debian package of the host tool, in build
	scripts/build/deb

rpm: ## make an RPM of the host tool, in build
	scripts/build/rpm

install: ## install the host tool below DESTDIR=
	scripts/build/install "$(DESTDIR)"

integrate: ## put modsig into the kernel tree KDIR=
	@scripts/integrate "$(KDIR)"

series: ## write modsig as a patch series for the kernel tree KDIR= (Linux 7.3) into build/series [SIGNOFF=1]
	@scripts/series $(if $(SIGNOFF),--signoff) "$(KDIR)"

deintegrate: ## take modsig out of the kernel tree KDIR=
	@scripts/deintegrate "$(KDIR)"

clean: ## remove generated files, test keys included
	rm -rf target build "$(cache)/keys"

distclean: clean ## remove downloads, tools and kernel builds as well
	rm -rf "$(cache)"

.PHONY: help setup packages demo test test-all kernels $(STEPS) distro-kernel compare differ bench report fuzz asan miri instruments deb rpm install integrate \
	series deintegrate clean distclean
