"""What must hold for the rendered manifests beyond their schemas.

    policies.py MANIFESTS.yaml GRAPH.json [--hub BINARY]

Prints every violation and fails if there is one. With --hub, every container's environment and arguments are also
given to the binary itself, which refuses settings that it does not know.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

# The oldest release that the chart promises to work on, and a recent one.
RELEASES = ["1.29", "1.33"]
# Kinds that operators bring; kubernetes_validate has no schemas for them.
CUSTOM = {"keda.sh/v1alpha1", "cert-manager.io/v1", "monitoring.coreos.com/v1"}
SECRET_WORDS = ("KEY", "SECRET", "PASSWORD", "TOKEN", "DATABASE_URL", "DATABASE_READ_URL", "AMQP_URL", "REDIS_URL")
NOT_SECRET = {"HUB__TLS__KEY"}


class Manifests:
    def __init__(self, documents, graph):
        self.documents = documents
        self.targets = {target["name"] for target in graph["targets"]}
        self.edges = {(edge["from"], edge["to"]) for edge in graph["edges"]}
        self.queues = {one["name"] for one in graph["consumers"] if one["audience"] == "group"}
        self.violations = []

    def of(self, kind):
        return [one for one in self.documents if one["kind"] == kind]

    def demand(self, holds, document, what):
        if not holds:
            self.violations.append(f"{document['kind']} {document['metadata']['name']}: {what}")


def component(labels):
    return labels.get("app.kubernetes.io/component")


def schemas(m):
    for document in m.documents:
        if document["apiVersion"] in CUSTOM:
            continue
        for release in RELEASES:
            try:
                kubernetes_validate.validate(document, release, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(str(part) for part in error.path)
                m.demand(False, document, f"{release}: {where}: {error.message}")


def names_are_unique(m):
    seen = set()
    for document in m.documents:
        key = (document["kind"], document["metadata"]["name"])
        m.demand(key not in seen, document, "is there twice")
        seen.add(key)


def pods_are_restricted(m):
    priorities = {one["metadata"]["name"] for one in m.of("PriorityClass")}
    for deployment in m.of("Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        context = pod.get("securityContext", {})
        m.demand(context.get("runAsNonRoot") is True, deployment, "may run as root")
        m.demand(context.get("runAsUser", 0) > 0, deployment, "runs as user 0")
        m.demand(context.get("seccompProfile", {}).get("type") == "RuntimeDefault", deployment, "has no seccomp profile")
        m.demand(pod.get("automountServiceAccountToken") is False, deployment, "mounts a service account token")
        m.demand(pod.get("priorityClassName") in priorities, deployment, "has no priority class of the chart")
        m.demand(len(pod.get("topologySpreadConstraints", [])) == 2, deployment, "is not spread over zones and hosts")
        for container in pod["containers"]:
            own = container.get("securityContext", {})
            m.demand(own.get("allowPrivilegeEscalation") is False, deployment, "may escalate privileges")
            m.demand(own.get("readOnlyRootFilesystem") is True, deployment, "has a writable root")
            m.demand(own.get("capabilities", {}).get("drop") == ["ALL"], deployment, "keeps capabilities")
            resources = container.get("resources", {})
            m.demand(resources.get("requests", {}).get("cpu") is not None, deployment, "requests no CPU")
            memory = [resources.get(part, {}).get("memory") for part in ("requests", "limits")]
            m.demand(memory[0] is not None and memory[0] == memory[1], deployment, "memory request and limit differ")
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                m.demand("grpc" in container.get(probe, {}), deployment, f"has no gRPC {probe}")
            image = container["image"]
            m.demand("@sha256:" in image or not image.endswith(":latest"), deployment, f"image {image} is not pinned")
            m.demand(":" in image.rsplit("/", 1)[-1], deployment, f"image {image} has neither tag nor digest")


def secrets_are_references(m):
    for deployment in m.of("Deployment"):
        for container in deployment["spec"]["template"]["spec"]["containers"]:
            for variable in container.get("env", []):
                name = variable["name"]
                if name in NOT_SECRET or not any(name.endswith(word) for word in SECRET_WORDS):
                    continue
                m.demand("valueFrom" in variable, deployment, f"{name} is in the clear")
    m.demand(not m.of("Secret"), {"kind": "Secret", "metadata": {"name": "any"}}, "the chart must not make secrets")


def selectors_meet(m):
    pods = [one["spec"]["template"]["metadata"]["labels"] for one in m.of("Deployment")]
    for deployment in m.of("Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        wanted = deployment["spec"]["selector"]["matchLabels"]
        m.demand(wanted.items() <= labels.items(), deployment, "does not select its own pods")
        others = [labels for labels in pods if wanted.items() <= labels.items()]
        m.demand(len(others) == 1, deployment, "selects the pods of another")
    for service in m.of("Service"):
        wanted = service["spec"]["selector"].items()
        chosen = [one for one in m.of("Deployment") if wanted <= one["spec"]["template"]["metadata"]["labels"].items()]
        m.demand(chosen, service, "selects nothing")
        for deployment in chosen:
            names = {port["name"] for port in deployment["spec"]["template"]["spec"]["containers"][0]["ports"]}
            for port in service["spec"]["ports"]:
                m.demand(port["targetPort"] in names, service, f"port {port['targetPort']} does not exist")


def scaling_is_complete(m):
    scalers = {}
    for one in m.of("HorizontalPodAutoscaler"):
        scalers[one["spec"]["scaleTargetRef"]["name"]] = (one["spec"]["minReplicas"], one["spec"]["maxReplicas"])
    for one in m.of("ScaledObject"):
        name = one["spec"]["scaleTargetRef"]["name"]
        m.demand(name not in scalers, one, "scales what another autoscaler scales")
        scalers[name] = (one["spec"]["minReplicaCount"], one["spec"]["maxReplicaCount"])
    budgets = [one["spec"]["selector"]["matchLabels"] for one in m.of("PodDisruptionBudget")]
    for deployment in m.of("Deployment"):
        name = deployment["metadata"]["name"]
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        if "replicas" in deployment["spec"]:
            m.demand(name not in scalers, deployment, "has fixed replicas and an autoscaler")
            continue
        m.demand(name in scalers, deployment, "has no autoscaler")
        low, high = scalers.get(name, (1, 1))
        m.demand(low <= high, deployment, "scales from many to few")
        guarded = any(budget.items() <= labels.items() for budget in budgets)
        m.demand(guarded or low < 2, deployment, "has no disruption budget")
        m.demand(component(labels) == "admin" or low >= 2, deployment, "runs once")


def network_is_the_call_graph(m):
    policies = m.of("NetworkPolicy")
    everything = [one for one in policies if "ingress" not in one["spec"] and "egress" not in one["spec"]]
    whole = {"kind": "NetworkPolicy", "metadata": {"name": "deny"}}
    m.demand(len(everything) == 1, whole, "there is not exactly one that denies everything")
    allowed_in, allowed_out = set(), set()
    for policy in policies:
        own = component(policy["spec"]["podSelector"]["matchLabels"])
        for rules, side, found in (("ingress", "from", allowed_in), ("egress", "to", allowed_out)):
            for rule in policy["spec"].get(rules, []):
                m.demand(rule.get(side) and rule.get("ports"), policy, f"{rules} without peers or ports")
                for peer in rule.get(side, []):
                    other = component(peer.get("podSelector", {}).get("matchLabels", {}))
                    if other and "namespaceSelector" not in peer:
                        found.add((other, own) if side == "from" else (own, other))
    m.demand(allowed_in == m.edges, whole, f"ingress differs from the call graph: {sorted(allowed_in ^ m.edges)}")
    m.demand(allowed_out == m.edges, whole, f"egress differs from the call graph: {sorted(allowed_out ^ m.edges)}")


def every_target_is_there(m):
    whole = {"kind": "Deployment", "metadata": {"name": "all"}}
    deployed = {component(one["spec"]["template"]["metadata"]["labels"]) for one in m.of("Deployment")}
    m.demand(deployed == m.targets, whole, f"targets differ: {sorted(deployed ^ m.targets)}")
    identities = {uri.rsplit("/hub/", 1)[-1] for one in m.of("Certificate") for uri in one["spec"]["uris"]}
    m.demand(identities == m.targets, whole, f"identities differ: {sorted(identities ^ m.targets)}")
    queues = {
        trigger["metadata"]["queueName"].split(".", 1)[1]
        for one in m.of("ScaledObject")
        for trigger in one["spec"]["triggers"]
        if trigger["type"] == "rabbitmq"
    }
    m.demand(not m.of("ScaledObject") or queues == m.queues, whole, f"queues differ: {sorted(queues ^ m.queues)}")


def the_hub_accepts_it(m, binary):
    """Every environment as the hub itself reads it: it refuses settings that it does not know."""
    for deployment in m.of("Deployment"):
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        with tempfile.TemporaryDirectory() as folder:
            environment = {one["name"]: one["value"] for one in container["env"] if "value" in one}
            target = component(deployment["metadata"]["labels"])
            # The certificate that the pod would be given.
            certs = [binary, "certs", "dev", "--out", folder, "--target", target]
            subprocess.run(certs, check=True, capture_output=True)
            environment |= {"HUB__TLS__CERT": f"{folder}/{target}.pem", "HUB__TLS__KEY": f"{folder}/{target}.key"}
            environment |= {"HUB__TLS__CA": f"{folder}/ca.pem"}
            # What the Secrets of the providers hold.
            environment |= {"HUB__PAYMENTS__PROVIDER": "test"}
            environment |= {"PATH": os.environ["PATH"], "HUB_DATA_DIR": f"{folder}/data"}
            answer = subprocess.run([binary, "config"], env=environment, capture_output=True, text=True)
            m.demand(answer.returncode == 0, deployment, f"the hub refuses its environment: {answer.stderr.strip()}")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("manifests")
    arguments.add_argument("graph")
    arguments.add_argument("--hub")
    arguments = arguments.parse_args()
    with open(arguments.manifests, encoding="utf-8") as file:
        documents = [one for one in yaml.safe_load_all(file) if one]
    with open(arguments.graph, encoding="utf-8") as file:
        m = Manifests(documents, json.load(file))
    for check in (
        schemas,
        names_are_unique,
        pods_are_restricted,
        secrets_are_references,
        selectors_meet,
        scaling_is_complete,
        network_is_the_call_graph,
        every_target_is_there,
    ):
        check(m)
    if arguments.hub:
        the_hub_accepts_it(m, arguments.hub)
    for violation in m.violations:
        print(violation)
    print(f"{arguments.manifests}: {len(documents)} manifests, {len(m.violations)} violations")
    return 1 if m.violations else 0


if __name__ == "__main__":
    sys.exit(main())
