//! One virtual machine: its initramfs, its run, its end.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::initramfs::Initramfs;
use super::kernels::Kernel;
use super::{modules, tools};
use crate::exec::{exec, follow, output};
use crate::suite::Target;
use crate::tally::Tally;

/// Software emulation runs tests some ten times slower than the processor;
/// past this the machine hangs.
const LIMIT: Duration = Duration::from_secs(900);
/// The last line of a machine that did everything.
const END: &str = "machine: end";

/// Boots `kernel`, runs `targets` one after the other, returns their counts.
/// `files` are laid at the same paths as here, programs with their libraries.
pub(crate) fn run(
    kernel: &Kernel,
    targets: &[&Target],
    files: &[PathBuf],
    only: &str,
) -> Result<Tally> {
    let initrd = kernel.root.join("initrd");
    image(kernel, targets, files, only)?.write(&initrd)?;
    let mut machine = Machine::start(kernel, &initrd)?;
    machine.watch(targets.len(), &format!("vm {}", kernel.series))
}

struct Machine(Child);

impl Machine {
    fn start(kernel: &Kernel, initrd: &Path) -> Result<Self> {
        // A machine must not outlive whoever reads its serial line.
        let qemu = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
            // One host thread for both processors: with one each, the emulator
            // may run a breakpoint that the kernel, patching its own code
            // (XDP's dispatcher), has already taken back, and the guest dies.
            .args(["-accel", "tcg,thread=single"])
            .args(["-cpu", "max", "-smp", "2", "-m", "2048"])
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            .args(["-serial", "stdio", "-no-reboot", "-net", "none"])
            .arg("-kernel")
            .arg(kernel.image())
            .arg("-initrd")
            .arg(initrd)
            // On a busy host the emulated timer is late, and the kernel's test of
            // it (arch/x86/kernel/apic/io_apic.c, `timer_irq_works`) panics.
            .args([
                "-append",
                "console=ttyS0 quiet panic=-1 oops=panic no_timer_check",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start qemu-system-x86_64")?;
        Ok(Self(qemu))
    }

    fn watch(&mut self, targets: usize, name: &str) -> Result<Tally> {
        let serial = self.0.stdout.take().context("qemu has no serial line")?;
        let mut tally = Tally::default();
        let mut complete = false;
        follow(serial, LIMIT, |line| {
            println!("    {name}: {line}");
            complete |= line.ends_with(END);
            tally.line(line);
        })
        .with_context(|| format!("{name} hangs"))?;
        ensure!(complete, "{name}: the machine stopped before its end");
        ensure!(
            tally.runs() == targets,
            "{name}: {} of {targets} test programs told a result",
            tally.runs()
        );
        Ok(tally)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Already gone is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn image(kernel: &Kernel, targets: &[&Target], files: &[PathBuf], only: &str) -> Result<Initramfs> {
    let mut image = Initramfs::default();
    for folder in [
        "/proc", "/sys", "/dev", "/run", "/tmp", "/etc", "/root", "/var/lib",
    ] {
        image.folder(folder)?;
    }
    image.copy(Path::new("/bin/busybox"), "/busybox/busybox")?;
    let mut init = String::from(INIT_HEAD);
    for module in modules::load(&kernel.modules())? {
        let path = format!("/modules/{}.ko", module.name);
        image.file(&path, false, &module.bytes)?;
        init.push_str(&format!("insmod {path}\n"));
    }
    let mut libraries = BTreeSet::new();
    for tool in tools() {
        libraries.extend(shared_objects(&tool)?);
        image.copy(&tool, &tool.to_string_lossy())?;
    }
    for file in files {
        add(&mut image, file, kernel, &mut libraries)?;
    }
    for target in targets {
        let program = target.executable();
        libraries.extend(shared_objects(program)?);
        image.file(
            &program.to_string_lossy(),
            true,
            &stripped(program, kernel)?,
        )?;
        init.push_str(&format!(
            "cd {}\necho 'running {}'\n{} --test-threads=1 {only}\n",
            target.folder().display(),
            target.name(),
            program.display(),
        ));
        image.folder(&target.folder().to_string_lossy())?;
    }
    for library in libraries {
        image.copy(&library, &library.to_string_lossy())?;
    }
    init.push_str(&format!("echo '{END}'\npoweroff -f\n"));
    image.file("/init", true, init.as_bytes())?;
    Ok(image)
}

/// Adds a file, or a folder with everything in it, where it lies here.
fn add(
    image: &mut Initramfs,
    path: &Path,
    kernel: &Kernel,
    libraries: &mut BTreeSet<PathBuf>,
) -> Result<()> {
    let place = path.to_string_lossy();
    if path.is_dir() {
        image.folder(&place)?;
        for entry in fs::read_dir(path)? {
            add(image, &entry?.path(), kernel, libraries)?;
        }
        return Ok(());
    }
    if is_program(path)? {
        libraries.extend(shared_objects(path)?);
        return image.file(&place, true, &stripped(path, kernel)?);
    }
    image.copy(path, &place)
}

/// An ELF executable of this machine; a BPF object is none.
fn is_program(path: &Path) -> Result<bool> {
    use std::os::unix::fs::PermissionsExt as _;
    Ok(fs::metadata(path)?.permissions().mode() & 0o111 != 0
        && fs::read(path)?.starts_with(b"\x7fELF"))
}

/// What the dynamic linker would load, the linker itself among it.
fn shared_objects(program: &Path) -> Result<Vec<PathBuf>> {
    Ok(output(Command::new("ldd").arg(program))?
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(PathBuf::from)
        .collect())
}

/// The program without debug information, which would fill the machine's memory.
fn stripped(program: &Path, kernel: &Kernel) -> Result<Vec<u8>> {
    let small = kernel.root.join("stripped");
    exec(
        Command::new("strip")
            .args(["--strip-debug", "-o"])
            .arg(&small)
            .arg(program),
    )?;
    fs::read(&small).with_context(|| format!("cannot read {}", small.display()))
}

const INIT_HEAD: &str = "\
#!/busybox/busybox sh
/busybox/busybox --install -s /busybox
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:/busybox HOME=/root FILTER_TESTS_MACHINE=1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs trace /sys/kernel/tracing
ip link set lo up
dmesg -n 1
";
