"""What the settings commands answer with."""

from holdfast_api.fields import Field, ResponseObject, as_given

CONFIGURATION = ResponseObject(
    name="configuration",
    fields=(
        Field("name", "string", "name of the setting"),
        Field("category", "string", "part of the cloud it belongs to"),
        Field("value", "string", "value in effect, there where it was asked for"),
        Field("defaultvalue", "string", "value without any change"),
        Field(
            "upstreamdefault", "string", "CloudStack's value without any change; missing where it has no such setting"
        ),
        Field("description", "string", "meaning"),
        Field("scope", "string", "where it can be set apart: Global, Zone, Cluster or StoragePool"),
        Field("id", "string", "the UUID of the zone, cluster or pool it was asked for"),
        Field("type", "string", "Number, Decimal, Boolean or String"),
        Field("unit", "string", "unit of the value"),
        Field("minimum", "float", "lowest value allowed"),
        Field("maximum", "float", "highest value allowed"),
        Field("options", "string", "words allowed, separated by commas"),
        Field("isdynamic", "boolean", "whether a change works without a restart"),
    ),
    build=as_given,
)
