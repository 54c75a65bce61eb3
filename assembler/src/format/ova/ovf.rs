//! The description: what the machine is made of.
//!
//! Elements of an item are in the order of the alphabet, which the schema wants.
//!
//! Source: DMTF, DSP0243 1.1.0, 8 (virtual hardware), 9 (sections), and DSP8023, the schema.

use std::fmt::Write as _;

use super::{Adapter, Controller, Disk, Firmware, Machine};

/// Namespaces of DMTF's schemas, and VMware's.
const NAMESPACES: &str = "xmlns=\"http://schemas.dmtf.org/ovf/envelope/1\" \
    xmlns:ovf=\"http://schemas.dmtf.org/ovf/envelope/1\" \
    xmlns:rasd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData\" \
    xmlns:vmw=\"http://www.vmware.com/schema/ovf\" \
    xmlns:vssd=\"http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData\"";

/// The format of the disk.
const FORMAT: &str = "http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized";

/// The machine of ESXi 5.5: the oldest with SATA, and known to every VirtualBox.
const FAMILY: &str = "vmx-10";

/// One piece of hardware: its number, and its elements but that.
type Item<'t> = (u32, &'t [(&'t str, &'t str)]);

/// Write the envelope of a machine whose disk is the file `vmdk`.
pub(super) fn description(machine: &Machine<'_>, disk: &Disk<'_>, vmdk: &str) -> String {
    let Machine { name, memory, cpus, .. } = *machine;
    let title = escape(machine.title);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <Envelope {NAMESPACES}>\n\
         \x20 <References>\n\
         \x20   <File ovf:href=\"{vmdk}\" ovf:id=\"file1\" ovf:size=\"{size}\"/>\n\
         \x20 </References>\n\
         \x20 <DiskSection>\n\
         \x20   <Info>Disks</Info>\n\
         \x20   <Disk ovf:capacity=\"{capacity}\" ovf:capacityAllocationUnits=\"byte\" ovf:diskId=\"vmdisk1\" \
                ovf:fileRef=\"file1\" ovf:format=\"{FORMAT}\" ovf:populatedSize=\"{populated}\"/>\n\
         \x20 </DiskSection>\n\
         \x20 <NetworkSection>\n\
         \x20   <Info>Networks</Info>\n\
         \x20   <Network ovf:name=\"VM Network\">\n\
         \x20     <Description>The network that the machine is put into</Description>\n\
         \x20   </Network>\n\
         \x20 </NetworkSection>\n\
         \x20 <VirtualSystem ovf:id=\"{name}\">\n\
         \x20   <Info>A virtual machine</Info>\n\
         \x20   <Name>{title}</Name>\n\
         \x20   <OperatingSystemSection ovf:id=\"101\" vmw:osType=\"other26xLinux64Guest\">\n\
         \x20     <Info>Operating system</Info>\n\
         \x20     <Description>Linux, 64 bits</Description>\n\
         \x20   </OperatingSystemSection>\n\
         \x20   <VirtualHardwareSection>\n\
         \x20     <Info>Hardware</Info>\n\
         \x20     <System>\n\
         \x20       <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>\n\
         \x20       <vssd:InstanceID>0</vssd:InstanceID>\n\
         \x20       <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>\n\
         \x20       <vssd:VirtualSystemType>{FAMILY}</vssd:VirtualSystemType>\n\
         \x20     </System>\n",
        size = disk.vmdk.size(),
        capacity = disk.capacity,
        populated = disk.populated,
    );
    let (cpus, memory) = (cpus.to_string(), memory.to_string());
    let (kind, subtype, bus) = match machine.controller {
        Controller::Ide => ("5", None, "ideController0"),
        Controller::LsiLogic => ("6", Some("lsilogic"), "scsiController0"),
        Controller::ParaVirtual => ("6", Some("VirtualSCSI"), "scsiController0"),
        Controller::Ahci => ("20", Some("vmware.sata.ahci"), "sataController0"),
    };
    let mut controller = vec![("Address", "0"), ("ElementName", bus)];
    controller.extend(subtype.map(|subtype| ("ResourceSubType", subtype)));
    controller.push(("ResourceType", kind));
    let adapter = match machine.adapter {
        Adapter::E1000 => "E1000",
        Adapter::VmxNet3 => "VmxNet3",
    };
    let items: [Item<'_>; 5] = [
        (
            1,
            &[
                ("AllocationUnits", "hertz * 10^6"),
                ("ElementName", "Processors"),
                ("ResourceType", "3"),
                ("VirtualQuantity", &cpus),
            ],
        ),
        (
            2,
            &[
                ("AllocationUnits", "byte * 2^20"),
                ("ElementName", "Memory"),
                ("ResourceType", "4"),
                ("VirtualQuantity", &memory),
            ],
        ),
        (3, &controller),
        (
            4,
            &[
                ("AddressOnParent", "0"),
                ("ElementName", "disk0"),
                ("HostResource", "ovf:/disk/vmdisk1"),
                ("Parent", "3"),
                ("ResourceType", "17"),
            ],
        ),
        (
            5,
            &[
                ("AutomaticAllocation", "true"),
                ("Connection", "VM Network"),
                ("ElementName", "ethernet0"),
                ("ResourceSubType", adapter),
                ("ResourceType", "10"),
            ],
        ),
    ];
    for (number, elements) in items {
        item(&mut text, number, elements);
    }
    if machine.firmware == Firmware::Efi {
        text.push_str("      <vmw:Config ovf:required=\"false\" vmw:key=\"firmware\" vmw:value=\"efi\"/>\n");
    }
    text.push_str("    </VirtualHardwareSection>\n  </VirtualSystem>\n</Envelope>\n");
    text
}

/// Write one piece of hardware; its number has its place in the alphabet.
fn item(text: &mut String, number: u32, elements: &[(&str, &str)]) {
    let number = number.to_string();
    let mut elements = elements.to_vec();
    elements.push(("InstanceID", &number));
    elements.sort_unstable();
    text.push_str("      <Item>\n");
    for (name, value) in elements {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "        <rasd:{name}>{value}</rasd:{name}>");
    }
    text.push_str("      </Item>\n");
}

/// Write text so that it is read as text; control characters have no way to be written.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => {}
            c if c.is_control() => {}
            c => escaped.push(c),
        }
    }
    escaped
}
