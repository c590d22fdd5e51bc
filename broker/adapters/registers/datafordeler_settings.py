"""The keys of ``[person_register]`` for Datafordeler's GraphQL service of the CPR register."""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from broker.adapters.registers.register_keys import RegisterKeys, sound_address

_TOKEN_URL: Final = (
    "https://auth-oces.datafordeler.dk/realms/distribution/protocol/openid-connect/token"  # noqa: S105 - an address
)


class DatafordelerKeys(RegisterKeys):
    """The keys of ``[person_register]`` with ``system = "datafordeler"``.

    In the place of the certificate, or beside it, ``client_secret`` stands where the IT system has
    one. ``version`` is that of the GraphQL schema.
    """

    url: Annotated[str, AfterValidator(sound_address)] = "https://graphql.datafordeler.dk"
    token_url: Annotated[str, AfterValidator(sound_address)] = _TOKEN_URL
    version: str = Field("v1", pattern=r"^v[1-9][0-9]?$")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr = SecretStr("")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if not self.certificate and not self.client_secret.get_secret_value():
            raise ValueError("needs certificate and key, or client_secret")
        return self
