"""What the fields of a card's files are called for people, in Chinese and in English.

Decides the words, and which fields are numbers of a person, that are shown in part only. Leaves
what stands in them to the layouts.
"""

from cardcore.text import Text

#: Field, Chinese, English; a field that is not here is called by its own name.
_ROWS = """
issuer|发卡机构|issuer
application_type|应用类型|kind of application
application_version|应用版本|application in use
card_number|卡号|card number
valid_from|启用日期|valid from
valid_to|有效期至|valid to
issuer_data|发卡方自定义|issuer's own data
holder_type|持卡人类型|kind of holder
staff|本行职工|staff
name|姓名|name
name_extension|姓名扩展|name, further
id_number|证件号码|number of the document
id_type|证件类型|kind of document
country|国家|country
province|省级代码|province
city|城市代码|city
interoperable|互联互通|travels
card_kind|卡种|kind of card
rest|预留|reserved
reserved|预留|reserved
counter|交易序号|counter
overdraft_fen|透支限额(分)|overdraft, fen
amount_fen|交易金额(分)|amount, fen
transaction_type|交易类型|kind of transaction
terminal|终端编号|terminal
time|交易时间|time
trip_type|乘车类型|kind of trip
industry|行业|industry
line|线路|line
station|站点|station
operator|运营商|operator
balance_fen|余额(分)|balance, fen
acquirer|收单机构|acquirer
reader_number|读者证号|reader's number
home_library|所属馆|home library
reader_class|读者类型|kind of reader
loans_max|可借册数|loans at most
loan_days|借期(天)|days of a loan
deposit_state|押金状态|deposit
deposit_fen|押金(分)|deposit, fen
item|条码|item
library|借出馆|library
lent_on|借出日期|lent on
due_on|应还日期|due on
state|状态|state
renewals|续借次数|renewals
card_id|卡识别码|card id
card_class|卡类别|class of card
version|规范版本|version of the standard
organisation|初始化机构|organisation
issued_on|发卡日期|issued on
social_security_number|社会保障号码|social security number
sex|性别|sex
nation|民族|nation
birthplace|出生地|birthplace
birth_date|出生日期|born on
issuer_name|发卡机构名称|issuer's name
issuer_code|发卡机构代码|issuer's code
issuer_certificate|发卡机构证书|issuer's certificate
security_code|卡安全码|security code
chip_serial|芯片序列号|serial of the chip
resident_id|身份证号|resident identity number
phone_1|电话一|phone
phone_2|电话二|second phone
payment_1|医疗费用支付方式一|way of payment
payment_2|医疗费用支付方式二|second way of payment
payment_3|医疗费用支付方式三|third way of payment
address_type_1|地址类别一|kind of address
address_1|地址一|address
address_type_2|地址类别二|second kind of address
address_2|地址二|second address
contact_1_name|联系人一姓名|contact
contact_1_relation|联系人一关系|contact is
contact_1_phone|联系人一电话|contact's phone
contact_2_name|联系人二姓名|second contact
contact_2_relation|联系人二关系|second contact is
contact_2_phone|联系人二电话|second contact's phone
contact_3_name|联系人三姓名|third contact
contact_3_relation|联系人三关系|third contact is
contact_3_phone|联系人三电话|third contact's phone
education|文化程度|education
marriage|婚姻状况|marriage
occupation|职业|occupation
document_type|证件类别|kind of document
document_number|证件号码|number of the document
health_record_number|健康档案编号|number of the health record
rural_cooperative_number|新农合证号|rural cooperative number
blood_abo|ABO 血型|blood group
blood_rh|RH 血型|rhesus
asthma|哮喘|asthma
heart_disease|心脏病|heart disease
cardio_cerebral_disease|心脑血管病|cardio-cerebral disease
epilepsy|癫痫|epilepsy
coagulation_disorder|凝血紊乱|coagulation disorder
diabetes|糖尿病|diabetes
glaucoma|青光眼|glaucoma
dialysis|透析|dialysis
transplant|器官移植|transplant
organ_missing|器官缺失|organ missing
removable_limb|可装卸义肢|removable limb
pacemaker|心脏起搏器|pacemaker
other_warning|其他医学警示|other warning
mental_disorder|精神病|mental disorder
city_code|城市代码|city
"""
LABELS = {
    name: Text(zh, en) for name, zh, en in (row.split("|") for row in _ROWS.strip().splitlines())
}
#: Numbers of a person or of a person's card.
PERSONAL = frozenset(
    {
        *("card_number", "reader_number", "card_id", "chip_serial", "security_code"),
        *("id_number", "social_security_number", "resident_id", "document_number"),
        *("health_record_number", "rural_cooperative_number", "phone_1", "phone_2"),
        *("contact_1_phone", "contact_2_phone", "contact_3_phone"),
    }
)


def label(field: str) -> Text:
    """What a field is called.

    >>> label("resident_id").zh, label("entry_line").en
    ('身份证号', 'entry line')
    """
    named = LABELS.get(field)
    plain = field.replace("_", " ")
    return Text(plain, plain) if named is None else named


#: Of bytes that are no text in the encoding of cards.
NO_TEXT = Text("不是 GBK 文字", "is no GBK text")


def of_field(field: str, said: Text) -> Text:
    """What is wrong with a field.

    >>> of_field("valid_to", NO_TEXT).en
    'valid to: is no GBK text'
    """
    named = label(field)
    return Text(f"{named.zh}：{said.zh}", f"{named.en}: {said.en}")
