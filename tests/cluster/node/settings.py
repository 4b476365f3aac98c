"""The files that the programs of a real node read."""

import json
from pathlib import Path

from tests.cluster.node.network import Network

PAUSE_IMAGE = "docker.io/vapora/pause:1"
# The first process of the node. It has namespaces of its own, so what is mounted here is seen and left by nobody else;
# SIGCHLD is ignored so that the kernel forgets the orphans that come to it.
BOOT = """\
set -e
mount -t proc proc /proc
mount -t tmpfs tmpfs /run
for folder in lib log; do
    mkdir -p "$1/var/$folder"
    mount --bind "$1/var/$folder" "/var/$folder"
done
mkdir /var/lib/containerd /var/lib/kubelet
mount -t tmpfs containerd /var/lib/containerd
mount -t tmpfs -o size=2g kubelet /var/lib/kubelet
mount --make-rshared /
trap '' CHLD
: > "$1/booted"
exec sleep infinity
"""
WIRE = """\
set -e
ip link set lo up
ip address add {network.node}/24 dev eth0
ip link set eth0 up
ip route add default via {network.host}
ip link add name cni0 type bridge
ip address add {network.gateway}/24 dev cni0
ip link set cni0 up
sysctl -q net.ipv4.ip_forward=1
sysctl -q net.bridge.bridge-nf-call-iptables=1
"""
_CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{plugins}"
conf_dir = "{folder}/cni"
"""
# Nothing is forwarded: the node has no way out, so that what runs on it is the same everywhere.
_COREFILE = """\
. {{
    bind {network.node}
    errors
    kubernetes cluster.local in-addr.arpa {{
        kubeconfig {kubeconfig}
        ttl 5
    }}
}}
"""


def write_containerd(folder: Path, plugins: Path, network: Network) -> Path:
    """Write what containerd reads, with the network of its pods, and return the path of its configuration."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": network.pods}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    (folder / "cni").mkdir()
    chain = {"cniVersion": "0.4.0", "name": "vapora", "plugins": [bridge, ports]}
    (folder / "cni" / "vapora.conflist").write_text(json.dumps(chain))
    path = folder / "containerd.toml"
    path.write_text(_CONTAINERD.format(pause=PAUSE_IMAGE, plugins=plugins, folder=folder))
    return path


def write_kubelet(folder: Path, network: Network, cgroup: str) -> Path:
    """Write the kubelet's configuration: it obeys whoever reaches the node's address, which only this machine does."""
    path = folder / "kubelet.json"
    settings = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node,
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "clusterDNS": [network.dns],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        "nodeStatusUpdateFrequency": "5s",
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "10%", "memory.available": "100Mi"},
        "evictionPressureTransitionPeriod": "5s",
    }
    path.write_text(json.dumps(settings))
    return path


def write_corefile(folder: Path, network: Network, kubeconfig: Path) -> Path:
    """Write what the name server reads."""
    path = folder / "Corefile"
    path.write_text(_COREFILE.format(network=network, kubeconfig=kubeconfig))
    return path
