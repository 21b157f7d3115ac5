"""What login and logout answer with."""

from holdfast_api.fields import Field, ResponseObject, as_given

LOGIN = ResponseObject(
    name="login",
    wrapped=False,
    fields=(
        Field("username", "string", "name of the user"),
        Field("userid", "string", "the UUID of the user"),
        Field("domainid", "string", "the UUID of the domain"),
        Field("timeout", "integer", "seconds without a call after which the session ends"),
        Field("account", "string", "name of the account"),
        Field("firstname", "string", "first name of the user"),
        Field("lastname", "string", "last name of the user"),
        Field("type", "string", "type of the account: 1 is root administrator, 0 a plain user"),
        Field("timezone", "string", "time zone of the user"),
        Field("timezoneoffset", "string", "offset of that zone, in hours"),
        Field("registered", "string", "whether the user registered, always false"),
        Field("sessionkey", "string", "to be sent as parameter sessionkey with each later call"),
        Field("is2faenabled", "string", "whether a second factor is asked for, always false"),
        Field("is2faverified", "string", "whether the second factor was given, always true"),
        Field("providerfor2fa", "string", "provider of the second factor, always empty"),
    ),
    build=as_given,
)

LOGOUT = ResponseObject(
    name="logout",
    wrapped=False,
    fields=(Field("description", "string", "success"),),
    build=as_given,
)
