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
QEMU_amd64 := qemu-system-x86
QEMU_arm64 := qemu-system-arm
JUDGES := apache2-utils busybox-static cpio docker-registry kmod openssl skopeo umoci zstd

SUDO := $(if $(filter-out 0,$(shell id -u)),sudo)
APT := $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0
# Debian's compiler serves where rustup cannot fetch a target; both are asked in this order.
HAS_TARGET = rustup target list --installed 2>/dev/null | grep -qx $(TARGET_$1)
RUSTC_FOR = $(shell $(HAS_TARGET) && rustup which rustc || echo /usr/bin/rustc)
# A static program at a fixed address, with no path of the machine that built it inside. Flags are parted by the unit
# separator, because paths may hold spaces.
INIT_FLAGS = $$'-Ctarget-feature=+crt-static\x1f-Crelocation-model=static'$$'\x1f'"--remap-path-prefix=$(CURDIR)=/hullkit"$$'\x1f'"--remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=/cargo"
LINKER_FOR = $(if $(filter $(HOST),$1),cc,$(GNU_$1)-gcc)
UPPER_TARGET = $(shell echo $(TARGET_$1) | tr a-z- A-Z_)

.PHONY: help build init deps-build deps-demo deps-test demo test check bench fuzz bless clean
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

build: $(ARCHES:%=init-%) ## build target/release/hullkit, with an init for each of ARCHES inside
	cargo build --release --locked --workspace

init: $(ARCHES:%=init-%) ## build PID 1 for each of ARCHES

init-%:
	@$(MAKE) --no-print-directory deps-init-$*
	CARGO_ENCODED_RUSTFLAGS=$(INIT_FLAGS) RUSTC="$(call RUSTC_FOR,$*)" CARGO_TARGET_$(call UPPER_TARGET,$*)_LINKER=$(call LINKER_FOR,$*) \
	    cargo build --locked -p hullkit-init --profile init --target $(TARGET_$*) --target-dir target/cross-$*
	@install -D -C "target/cross-$*/$(TARGET_$*)/init/hullkit-init" "target/init/$*/hullkit-init"

# rustup first; where it cannot fetch a target, Debian's own compiler and standard library.
deps-init-%:
	@$(call HAS_TARGET,$*) || rustup target add $(TARGET_$*) 2>/dev/null || test -e /usr/lib/rustlib/$(TARGET_$*)/lib || \
	    { echo "installing Debian's Rust for $*"; $(APT) update; dpkg --print-foreign-architectures | grep -qx $* || $(SUDO) dpkg --add-architecture $*; $(APT) update; $(APT) install -y --no-install-recommends rustc-web libstd-rust-web-dev:$*; }
	@test $* = $(HOST) || command -v $(GNU_$*)-gcc >/dev/null || { $(APT) update; $(APT) install -y --no-install-recommends $(CROSS_$*); }
