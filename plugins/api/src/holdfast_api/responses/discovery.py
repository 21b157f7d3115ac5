"""What listApis and listCapabilities answer with."""

from holdfast_api.fields import Field, ResponseObject, as_given

_RESPONSE_FIELDS = (
    Field("name", "string", "name of the field"),
    Field("description", "string", "meaning of the field"),
    Field("type", "string", "type of the field"),
    Field("since", "string", "release in which it appeared"),
    Field("response", "list", "the fields inside it"),
)

API = ResponseObject(
    name="api",
    fields=(
        Field("name", "string", "name of the command"),
        Field("description", "string", "what the command does"),
        Field("since", "string", "release in which it appeared"),
        Field("isasync", "boolean", "whether it answers with a job"),
        Field("related", "string", "commands that answer with the same object"),
        Field(
            "params",
            "set",
            "parameters of the command",
            (
                Field("name", "string", "name of the parameter"),
                Field("description", "string", "meaning of the parameter"),
                Field("type", "string", "type of the parameter"),
                Field("length", "integer", "longest text allowed"),
                Field("required", "boolean", "whether it must be sent"),
                Field("related", "string", "commands that show the ids it takes"),
                Field("since", "string", "release in which it appeared"),
            ),
        ),
        Field("response", "set", "fields of the answer", _RESPONSE_FIELDS),
    ),
    build=as_given,
)

CAPABILITY = ResponseObject(
    name="capability",
    fields=(
        Field("cloudstackversion", "string", "release of the CloudStack API whose conventions are kept"),
        Field("holdfastversion", "string", "release of Holdfast"),
        Field("securitygroupsenabled", "boolean", "whether security groups are offered"),
        Field("dynamicrolesenabled", "boolean", "whether roles can be edited"),
        Field("supportELB", "string", "whether elastic load balancing is offered"),
        Field("userpublictemplateenabled", "boolean", "whether users may publish templates"),
        Field("projectinviterequired", "boolean", "whether projects need an invitation"),
        Field("allowusercreateprojects", "boolean", "whether users may make projects"),
        Field("customdiskofferingminsize", "integer", "smallest custom disk in GB"),
        Field("customdiskofferingmaxsize", "integer", "largest custom disk in GB"),
        Field("regionsecondaryenabled", "boolean", "whether secondary storage is shared by region"),
        Field("kvmsnapshotenabled", "boolean", "whether running VMs can be snapshot"),
        Field("allowuserviewdestroyedvm", "boolean", "whether users see destroyed VMs"),
        Field("allowuserexpungerecovervm", "boolean", "whether users may expunge and recover VMs"),
        Field("defaultuipagesize", "long", "length of a page in the web interface"),
    ),
    build=as_given,
)
