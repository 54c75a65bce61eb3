# What a user or a developer types; `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

HOST := $(if $(filter aarch64 arm64,$(shell uname -m)),arm64,amd64)
# The machine that `demo` boots, and the machines that `build` makes an init for.
ARCH ?= $(HOST)
ARCHES ?= amd64 arm64

TARGET_amd64 := x86_64-unknown-linux-gnu
TARGET_arm64 := aarch64-unknown-linux-gnu
GNU_amd64 := x86_64-linux-gnu
GNU_arm64 := aarch64-linux-gnu
CROSS_amd64 := gcc-x86-64-linux-gnu libc6-dev-amd64-cross
CROSS_arm64 := gcc-aarch64-linux-gnu libc6-dev-arm64-cross
STUB_amd64 := linuxx64.efi.stub
STUB_arm64 := linuxaa64.efi.stub
PROGRAMS := hullkit-init hullkit-fetch hullkit-metadata hullkit-storage
QEMU_amd64 := qemu-system-x86
QEMU_arm64 := qemu-system-arm
JUDGES := binutils busybox-static cpio dnsmasq-base docker-registry dosfstools e2fsprogs erofs-utils fdisk gdisk genisoimage iproute2 kmod libarchive-tools mount mtools openssl python3 qemu-system-misc qemu-utils sbsigntool skopeo squashfs-tools swtpm umoci util-linux xorriso xz-utils zstd

SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0
# apt with a state of its own in the current folder: another architecture's packages need neither root nor `dpkg --add-architecture`.
APT_FOR = apt-get -qq -c apt.conf -o APT::Architecture=$1 -o APT::Architectures::=$1 -o Dir::State="$$PWD" -o Dir::State::lists="$$PWD/lists" \
    -o Dir::State::status="$$PWD/status" -o Dir::Cache="$$PWD" -o Dir::Log="$$PWD" -o APT::Sandbox::User=root -o Acquire::Languages=none -o Debug::NoLocking=true
# Debian's compiler serves where rustup cannot fetch a target; both are asked in this order.
HAS_TARGET = rustup target list --installed 2>/dev/null | grep -qx $(TARGET_$1)
RUSTC_FOR = $(shell $(HAS_TARGET) && rustup which rustc || echo /usr/bin/rustc)
# A static program at a fixed address, with no path of the machine that built it inside. Flags are parted by the unit
# separator, because paths may hold spaces.
INIT_FLAGS = $$'-Ctarget-feature=+crt-static\x1f-Crelocation-model=static'$$'\x1f'"--remap-path-prefix=$(CURDIR)=/hullkit"$$'\x1f'"--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo"
LINKER_FOR = $(if $(filter $(HOST),$1),cc,$(GNU_$1)-gcc)
UPPER_TARGET = $(shell echo $(TARGET_$1) | tr a-z- A-Z_)

.PHONY: help build init stubs checker images deps-build deps-demo deps-test demo test check deny bench fuzz bless clean
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: deps-build init stubs ## build target/release/hullkit, with an init and a boot stub for each of ARCHES inside
	cargo build --release --locked --workspace

init: $(ARCHES:%=init-%) ## build PID 1, what fetches its root, asks for metadata and takes disks, for each of ARCHES

# Static programs: their packages, their architecture, their files, the folder they are put into. All of them in one run of cargo, so
# that what several need is compiled once.
define static
@$(MAKE) --no-print-directory deps-init-$2
CARGO_ENCODED_RUSTFLAGS=$(INIT_FLAGS) RUSTC="$(call RUSTC_FOR,$2)" CARGO_TARGET_$(call UPPER_TARGET,$2)_LINKER=$(call LINKER_FOR,$2) \
    cargo build --locked $(addprefix -p ,$1) --profile init --target $(TARGET_$2) --target-dir target/cross-$2
@install -d target/$4/$2 && cd target/cross-$2/$(TARGET_$2)/init && install -C $3 "$(CURDIR)/target/$4/$2"
endef

init-%:
	$(call static,$(PROGRAMS),$*,$(PROGRAMS),init)

stubs: $(ARCHES:%=stub-%) ## fetch systemd's boot stub for each of ARCHES, with its notice

stub-%:
	@test -s target/stub/$*/copyright || $(MAKE) --no-print-directory fetch-stub-$*

# The notice comes last: where it is, the stub is.
fetch-stub-%:
	@rm -rf target/stub/$*/apt && mkdir -p target/stub/$*/apt/{lists,archives}/partial && cd target/stub/$*/apt && : >status && printf '#clear %s;\n' APT::Architectures APT::Update DPkg >apt.conf
	@cd target/stub/$*/apt && echo "fetching systemd's stub for $*" && $(call APT_FOR,$*) update && $(call APT_FOR,$*) download systemd-boot-efi && dpkg-deb -x systemd-boot-efi_*.deb files
	@cd target/stub/$* && install -m 644 apt/files/usr/lib/systemd/boot/efi/$(STUB_$*) apt/files/usr/share/doc/systemd-boot-efi/copyright . && rm -rf apt

checker: $(ARCHES:%=checker-%) ## build the program that looks around inside the tests' containers

checker-%:
	$(call static,hullkit-checker,$*,checker,checker)

# rustup first; where it cannot fetch a target, Debian's own compiler and standard library.
deps-init-%:
	@$(call HAS_TARGET,$*) || rustup target add $(TARGET_$*) 2>/dev/null || test -e /usr/lib/rustlib/$(TARGET_$*)/lib || \
	    { echo "installing Debian's Rust for $*"; $(APT) update; dpkg --print-foreign-architectures | grep -qx $* || $(SUDO) dpkg --add-architecture $*; $(APT) update; $(APT) install -y --no-install-recommends rustc-web libstd-rust-web-dev:$*; }
	$(if $(filter $(HOST),$*),,$(call need,$(CROSS_$*)))

# Each list is installed only if something of it is missing; what is done is printed, nothing is asked.
need = @missing=$$(for p in $1; do dpkg-query -W -f '$${Status}' $$p 2>/dev/null | grep -q 'ok installed' || echo $$p; done); \
	test -z "$$missing" || { echo "installing:" $$missing; $(APT) update; $(APT) install -y --no-install-recommends $$missing; }

deps-build:
	$(call need,apt dpkg gcc libc6-dev)

deps-demo:
	$(call need,$(QEMU_$(ARCH)))

deps-test: deps-build
	$(call need,$(QEMU_amd64) $(QEMU_arm64) ipxe-qemu ovmf qemu-efi-aarch64)
# A step of its own: QEMU may drive out tools of another release.
	$(call need,$(JUDGES))

demo: deps-demo ## boot a web server from Debian packages, fetch its page, power off (ARCH=arm64 for the other)
	@$(MAKE) --no-print-directory build ARCHES=$(ARCH)
	target/release/hullkit --cache target/demo/cache pkg build --arch $(ARCH) examples/images/kernel examples/images/nginx
	target/release/hullkit --cache target/demo/cache test examples/01-hello.yml --arch $(ARCH) --accel tcg --dir target/demo

# The tests' own store: what the examples' recipes make, for both architectures.
images: init stubs checker ## make what the tests' hosts run: images of the examples in the tests' store, and the checker
	cargo build --locked --workspace
	target/debug/hullkit --cache target/test-cache pkg build examples/images/*/

test: deps-test images ## every test there is, boots of both architectures included
	CI=true cargo test --locked --workspace

check: deps-build ## what needs no virtual machine: format, lints, documentation, licences
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

deny: ## licences, sources and bans of what we depend on (installs cargo-deny)
	command -v cargo-deny >/dev/null || cargo install --locked cargo-deny
	cargo deny check licenses bans sources

bench: deps-test build images ## measure; prints a table and writes target/bench.json
	target/release/bench

bless: ## rewrite the expected texts of golden tests; read the difference before committing it
	BLESS=1 cargo test --locked --workspace --lib --tests -- --skip vm_

# Where there is no nightly compiler, the stable one is told to take its flags.
FUZZ := $(shell rustup toolchain list 2>/dev/null | grep -q nightly && echo cargo +nightly fuzz || echo env RUSTC_BOOTSTRAP=1 cargo fuzz)

fuzz: ## run every fuzz target for SECONDS_EACH (60); installs cargo-fuzz
	command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
	for crate in linuxkit-yaml assembler init; do (cd $$crate && for target in $$($(FUZZ) list); do \
	    $(FUZZ) run --target-dir "$(CURDIR)/target/fuzz" $$target -- -max_total_time=$(or $(SECONDS_EACH),60) || exit 1; done) || exit 1; done

clean: ## remove everything that was built
	cargo clean
