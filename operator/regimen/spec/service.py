"""ModelService: serve a model from N replicas behind a router."""

from pydantic import Field, model_validator

from regimen.spec.meta import Duration, KindStatus, Name, NodeSelector, Quantization, Ref, Spec, Status, Text, VolumeClaim
from regimen.spec.phases import ServicePhase


class Engine(Spec):
    """How llama-server runs."""

    image: str | None = Field(None, min_length=1, max_length=512, description="Server image; the chart's default.")
    context_size: int = Field(4096, ge=256, le=1_048_576, description="Context in tokens, shared by the parallel slots.")
    parallel: int = Field(4, ge=1, le=64, description="Requests answered at once by one replica.")
    gpu_layers: int = Field(999, ge=0, le=999, description="Layers on the GPU; 0 on CPU.")
    extra_args: list[Text] = Field(default_factory=list, max_length=32, description="Further llama-server arguments.")


class ServicePlacement(Spec):
    """Where replicas run."""

    node_selector: NodeSelector = Field(default_factory=dict, description="Labels the node must have.")
    gpu_resource: str = Field(
        "nvidia.com/gpu", min_length=1, max_length=253, description="Extended resource that names a card or its slices."
    )
    gpus: int = Field(1, ge=0, le=8, description="Cards or slices per replica; 0 serves on the CPU.")


class ApiKeys(Spec):
    """Where API keys are."""

    secret_ref: Ref = Field(description="Secret whose every value is a key; its entries' names are yours to choose.")


class Auth(Spec):
    """Who may ask."""

    api_keys_from: ApiKeys = Field(description="Callers send one of these keys as `Authorization: Bearer …`; others get 401.")


class Router(Spec):
    """How requests reach replicas."""

    replicas: int = Field(2, ge=1, le=8, description="Router pods.")
    subject_header: str = Field(
        "X-Subject",
        pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$",
        max_length=64,
        description="Header that says who asks; hashed with a key, never stored.",
    )
    auth: Auth | None = Field(None, description="Keys that callers need; without it everybody in the cluster may ask.")
    drain_timeout: Duration = Field("20s", description="Longest wait for a stopping replica's requests; what is left then is cut.")


class EmptyDir(Spec):
    """A folder that comes and goes with its pod."""


ONE_CACHE = "exactly one of persistentVolumeClaim and emptyDir says where GGUFs are kept; write one, remove the other"


class ServiceCache(Spec):
    """Where GGUFs are kept on the nodes, by digest; exactly one of its fields."""

    persistent_volume_claim: VolumeClaim | None = Field(None, description="The node group's disk. A service that is rolled out needs it.")
    empty_dir: EmptyDir | None = Field(None, description="For a try: each pod fetches the file anew, and rollouts are refused.")

    @model_validator(mode="after")
    def _one(self) -> "ServiceCache":
        if (self.persistent_volume_claim is None) == (self.empty_dir is None):
            raise ValueError(ONE_CACHE)
        return self

    @property
    def claim(self) -> str | None:
        """Name of the PersistentVolumeClaim, where there is one."""
        return self.persistent_volume_claim.claim_name if self.persistent_volume_claim else None


class FeedbackSpec(Spec):
    """How answers are marked for review."""

    audit_fraction: float = Field(0, ge=0, le=1, description="Random share marked for blind expert labelling, whatever the arm.")
    review_url_template: str | None = Field(
        None,
        alias="reviewURLTemplate",
        pattern=r"^https?://[A-Za-z0-9._~:/?@&=+,;*()!-]*\{reference\}[A-Za-z0-9._~:/?@&=+,;*()!#-]*$",
        max_length=512,
        description="Where an expert opens the case, with {reference} for the caller's X-Reference; sent with the answer. "
        "Only a keyed hash of the reference is stored.",
    )


class ModelServiceSpec(Spec):
    """Serve a model. What serves now is in status and in a durable record, not here."""

    model: Name = Field(description="Model to serve.")
    baseline_ref: Ref = Field(description="ModelVersion served first, and always kept as the fallback.")
    quantization: Quantization = Field(description="Which GGUF of each version to serve.")
    replicas: int = Field(1, ge=1, le=32, description="llama-server replicas.")
    min_available: int = Field(0, ge=0, le=32, description="Ready replicas that no exchange may fall below.")
    allow_outage: bool = Field(
        False,
        description="true: a change of this spec is carried out even where minAvailable cannot be kept meanwhile (one card, one replica).",
    )
    decides_label: bool = Field(
        False,
        description="Answers are decisions on a claim: every response then says that it recommends and a person decides.",
    )
    engine: Engine = Field(default_factory=lambda: Engine(), description="How llama-server runs.")
    placement: ServicePlacement = Field(default_factory=lambda: ServicePlacement(), description="Where replicas run.")
    cache: ServiceCache = Field(description="Where GGUFs are kept on the nodes.")
    router: Router = Field(default_factory=lambda: Router(), description="How requests reach replicas.")
    feedback: FeedbackSpec = Field(default_factory=lambda: FeedbackSpec(), description="How answers are marked for review.")

    @model_validator(mode="after")
    def _minimum_within_replicas(self) -> "ModelServiceSpec":
        if self.min_available > self.replicas:
            raise ValueError(f"minAvailable {self.min_available} is more than replicas {self.replicas}; lower it")
        return self


class ReplicaCounts(Status):
    """Replicas of both arms."""

    desired: int = Field(0, description="As asked for.")
    ready: int = Field(0, description="Ready, of both arms.")
    stable: int = Field(0, description="Ready, of the stable version.")
    candidate: int = Field(0, description="Ready, of the candidate.")


class ServingEstimate(Status):
    """What a replica takes of a card, before any is asked."""

    vram_bytes: int = Field(description="Bytes of the card that one replica takes, by estimate.")
    card_bytes: int | None = Field(None, description="Bytes of the smallest card that it may land on, where labels say so.")
    co_resident: list[str] = Field(default_factory=list, max_length=64, description="Other services on those cards.")
    fits: bool | None = Field(None, description="Whether all replicas fit beside them; absent where no node is known.")
    note: str | None = Field(None, max_length=512, description="What the estimate does not know.")


class ModelServiceStatus(KindStatus):
    """What serves."""

    phase: ServicePhase | None = Field(None, description="Where the service is in its life.")
    stable_version: str | None = Field(None, description="ModelVersion that serves.")
    previous_version: str | None = Field(None, description="ModelVersion that served before.")
    replicas: ReplicaCounts | None = Field(None, description="Replicas of both arms.")
    estimate: ServingEstimate | None = Field(None, description="Memory that serving takes; absent on the CPU.")
    url: str | None = Field(None, description="OpenAI-compatible address inside the cluster.")
    rollout: str | None = Field(None, description="ModelRollout under way.")
