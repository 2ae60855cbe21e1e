//! Sentences with places for details, written `{place}`.

use super::Language;

macro_rules! messages {
    ($($message:ident = $key:literal, $en:literal, $ru:literal, $ky:literal;)+) => {
        /// A sentence with places for details.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Message { $(#[doc = $en] $message,)+ }

        impl Message {
            pub const ALL: &'static [Self] = &[$(Self::$message),+];

            /// The word in JSON; stable.
            pub const fn key(self) -> &'static str {
                match self { $(Self::$message => $key,)+ }
            }

            /// In English, Russian and Kyrgyz.
            pub const fn texts(self) -> [&'static str; 3] {
                match self { $(Self::$message => [$en, $ru, $ky],)+ }
            }
        }
    };
}

messages! {
    // Doors.
    OpenedBy = "opened_by", "opened by {by}", "открыл(а) {by}", "{by} ачкан";
    OpenedByFor = "opened_by_for", "opened by {by}: {reason}", "открыл(а) {by}: {reason}", "{by} ачкан: {reason}";
    ClosedBy = "closed_by", "closed by {by}", "закрыл(а) {by}", "{by} жапкан";
    ClosedByFor = "closed_by_for", "closed by {by}: {reason}", "закрыл(а) {by}: {reason}", "{by} жапкан: {reason}";
    AlwaysOpen = "always_open", "always open", "открыто всегда", "дайыма ачык";
    NoTimetable = "no_timetable", "no timetable", "нет расписания", "жадыбал жок";
    ByTimetable = "by_timetable", "by its timetable", "по расписанию", "жадыбал боюнча";
    HeldBy = "held_by", "held by {teacher}", "отвечает {teacher}", "{teacher} жооптуу";
    NoHolder = "no_holder", "no teacher holds it (filter-agent lease take)", "учитель ещё не взял кабинет (filter-agent lease take)", "мугалим кабинетти али алган жок (filter-agent lease take)";
    ClosedHoliday = "public_holiday", "public holiday ({name})", "праздничный день ({name})", "майрам күнү ({name})";
    ClosedBreak = "school_break", "school break ({name})", "каникулы ({name})", "каникул ({name})";
    ClosedOutOfTerm = "out_of_term", "between terms", "вне учебных четвертей", "чейректер аралыгы";
    ClosedOutOfYear = "out_of_year", "outside the academic year", "вне учебного года", "окуу жылынан тышкары";
    NoLessonsToday = "no_lessons_today", "no lessons in this room today", "сегодня в этом кабинете уроков нет", "бүгүн бул кабинетте сабак жок";
    BeforeFirst = "before_first", "before the first lesson", "до первого урока", "биринчи сабакка чейин";
    BetweenLessons = "between_lessons", "between lessons", "между уроками", "сабактардын аралыгы";
    AfterLast = "after_last", "after the last lesson", "после последнего урока", "акыркы сабактан кийин";
    OpenUntil = "open_until", "open, until {until}", "открыто, до {until}", "ачык, {until} чейин";
    OpenLesson = "open_lesson", "open: lesson {lesson}{class}, until {until}", "открыто: урок {lesson}{class}, до {until}", "ачык: {lesson}-сабак{class}, {until} чейин";

    BlockedBy = "blocked_by", "blocked everywhere by {by}", "заблокировал(а) везде {by}", "{by} бардык жерде бөгөттөгөн";
    BlockedByFor = "blocked_by_for", "blocked everywhere by {by}: {reason}", "заблокировал(а) везде {by}: {reason}", "{by} бардык жерде бөгөттөгөн: {reason}";
    DecisionOf = "decision_of", "no. {number} of {date}, {body}", "№ {number} от {date}, {body}", "{date}, № {number}, {body}";
    DecisionUntil = "decision_until", "no. {number} of {date}, {body}, until {until}", "№ {number} от {date}, {body}, до {until}", "{date}, № {number}, {body}, {until} чейин";

    // Status.
    StatusPolicy = "status_policy", "{file} (generation {generation}, by {by}, {when}, took {ms} ms)", "{file} (поколение {generation}, применил(а) {by}, {when}, за {ms} мс)", "{file} ({generation}-муун, колдонгон {by}, {when}, {ms} мс ичинде)";
    StatusRooms = "status_rooms", "{open} of {all} open", "открыто {open} из {all}", "{all} ичинен {open} ачык";
    StatusKnown = "status_known", "known to the kernel until {when}", "известно ядру до {when}", "ядрого {when} чейин белгилүү";
    StatusNoTimetable = "status_no_timetable", "no room has one", "нет ни у одного кабинета", "бир да кабинетте жок";
    StatusInForce = "status_in_force", "{leases} leases, {grants} grants, {blocks} blocks", "кабинетов у учителей: {leases}, разрешений: {grants}, блокировок: {blocks}", "мугалимдердеги кабинет: {leases}, уруксат: {grants}, бөгөт: {blocks}";
    StatusToDo = "status_to_do", "{incidents} incidents, {reports} reports for the council", "инцидентов: {incidents}, сообщений для совета: {reports}", "окуя: {incidents}, кеңешке билдирүү: {reports}";
    StatusPackets = "status_packets", "{passed} passed, {refused} refused", "пропущено {passed}, отказано {refused}", "{passed} өткөрүлдү, {refused} четке кагылды";
    StatusAgent = "status_agent", "{version}, since {when}", "{version}, с {when}", "{version}, {when} тартып";
    StatusShadow = "status_shadow", "shadow of {policy} until {until}: {different} of {compared} connections would be judged otherwise", "проба правил {policy} до {until}: {different} из {compared} соединений получили бы другое решение", "{policy} эрежелерин сыноо, {until} чейин: {compared} байланыштын ичинен {different} башкача чечилмек";
    StatusShadowRoom = "status_shadow_room", "{room}: {refuse} more would be refused, {pass} more would pass: {cause}", "{room}: отказов стало бы больше на {refuse}, пропущенных — на {pass}: {cause}", "{room}: дагы {refuse} четке кагылмак, дагы {pass} өткөрүлмөк: {cause}";
    StatusShadowExample = "status_shadow_example", "{room}: {host} is {now}, would be {then} ({flows} times)", "{room}: {host} сейчас — {now}, стало бы — {then} (раз: {flows})", "{room}: {host} азыр — {now}, болмок — {then} ({flows} жолу)";
    StoreInMemory = "store_in_memory", "the store is in memory and is lost with the agent: {why}", "хранилище в памяти и пропадёт вместе с агентом: {why}", "сактагыч эсте жана агент менен кошо жоголот: {why}";
    StoreSetAside = "store_set_aside", "the store's file was broken and a new one was begun; leases, grants and blocks of before are gone: {why}", "файл хранилища был испорчен, начат новый; прежних разрешений, блокировок и кабинетов у учителей в нём нет: {why}", "сактагычтын файлы бузулуп, жаңысы башталды; мурунку уруксаттар, бөгөттөр жана мугалимдердеги кабинеттер анда жок: {why}";
    InterfaceGone = "interface_gone", "the interface {interface} is gone; the filter goes up on it as soon as it is back (ip link shows what is there)", "интерфейса {interface} нет; фильтр встанет на него, как только он вернётся (что есть, покажет ip link)", "{interface} интерфейси жок; ал кайтып келери менен чыпка ага коюлат (эмне бар экенин ip link көрсөтөт)";
    InterfaceLoose = "interface_loose", "the filter does not hang on {interface}, and nothing is filtered there: {why}", "фильтр не стоит на {interface}, там ничего не фильтруется: {why}", "чыпка {interface} интерфейсинде жок, ал жерде эч нерсе чыпкаланбайт: {why}";
    InterfaceShut = "interface_shut", "{interface} is new and drops all that comes until an image knows it: {why}", "{interface} — новый интерфейс и отбрасывает всё, пока его не узнает новый образ: {why}", "{interface} жаңы интерфейс, аны жаңы образ билгенче келгендин баарын таштайт: {why}";
    MetricsDown = "metrics_down", "no metrics: {why}; the filter works without them, and it is tried again every ten seconds", "метрик нет: {why}; фильтр работает и без них, попытка повторяется каждые десять секунд", "метрикалар жок: {why}; чыпка аларсыз да иштейт, ар он секундда кайра аракет кылынат";
    ListProblem = "list_problem", "category {category}: {problem}", "категория {category}: {problem}", "{category} категориясы: {problem}";

    // What a command did.
    LeaseTaken = "lease_taken", "{holder} holds room {room} until {until}.", "{holder} отвечает за кабинет {room} до {until}.", "{holder} {room} кабинети үчүн {until} чейин жооптуу.";
    LeaseReleased = "lease_released", "Room {room} is released.", "Кабинет {room} освобождён.", "{room} кабинети бошотулду.";
    GrantEnded = "grant_ended", "Grant {id} has ended.", "Разрешение {id} закончено.", "{id}-уруксат бүттү.";
    CategoryNamed = "category_named", "category {name}", "категория {name}", "{name} категориясы";
    RoomNamed = "room_named", "room {name}", "кабинет {name}", "{name} кабинети";
    GroupNamed = "group_named", "group {name}", "группа {name}", "{name} тобу";
    RoomAndGroup = "room_and_group", "room {room}, group {group}", "кабинет {room}, группа {group}", "{room} кабинети, {group} тобу";
    Revoked = "revoked", "revoked {when}", "отозвано {when}", "{when} кайтарып алынды";
    BlockedNow = "blocked_now", "{target} is blocked everywhere, for live connections too (no. {id}).", "{target} заблокирован везде, для уже открытых соединений тоже (№ {id}).", "{target} бардык жерде бөгөттөлдү, ачык байланыштар үчүн да (№ {id}).";
    NotByHand = "no_longer_by_hand", "{target} is no longer blocked by hand.", "{target} больше не заблокирован вручную.", "{target} эми кол менен бөгөттөлгөн эмес.";
    Reported = "reported", "{target} is blocked everywhere now; the council decides about report {id}.", "{target} сейчас заблокирован везде; о сообщении {id} решит совет.", "{target} азыр бардык жерде бөгөттөлдү; {id}-билдирүү боюнча кеңеш чечет.";
    LetterSubject = "letter_subject", "Incident {id} in room {room}", "Инцидент {id} в кабинете {room}", "{room} кабинетиндеги {id}-окуя";
    StaysBlocked = "stays_blocked", "{target} stays blocked.", "{target} остаётся заблокированным.", "{target} бөгөттөлгөн бойдон калат.";
    NoLongerBlocked = "no_longer_blocked", "{target} is no longer blocked.", "{target} больше не заблокирован.", "{target} эми бөгөттөлгөн эмес.";
    IncidentClosed = "incident_closed", "Incident {id} is closed.", "Инцидент {id} закрыт.", "{id}-окуя жабылды.";
    IdentityWas = "identity_was", "{pseudonym} was {address}.", "{pseudonym} — это {address}.", "{pseudonym} — бул {address}.";
    ClosedAtBy = "closed_at_by", "{when} by {by}", "{when}, {by}", "{when}, {by}";
    AuditBroken = "audit_broken", "Entry {id} does not fit the one before it: somebody changed the file itself.", "Запись {id} не сходится с предыдущей: кто-то менял сам файл.", "{id}-жазуу мурункусуна туура келбейт: файлдын өзүн бирөө өзгөрткөн.";
    InForceAs = "in_force_as", "In force as generation {generation} after {ms} ms.", "Действует как поколение {generation}, через {ms} мс.", "{generation}-муун катары күчүнө кирди, {ms} мс ичинде.";
    Detached = "detached", "The filter is off: {interfaces}. Nothing is filtered now.", "Фильтр снят: {interfaces}. Сейчас ничего не фильтруется.", "Чыпка алынды: {interfaces}. Азыр эч нерсе чыпкаланбайт.";
    Checked = "checked", "{file}: {rooms} rooms, {groups} groups, {categories} categories", "{file}: кабинетов {rooms}, групп {groups}, категорий {categories}", "{file}: кабинет {rooms}, топ {groups}, категория {categories}";
    Entries = "entries", "{count} entries", "записей: {count}", "жазуу: {count}";
    LeftOut = "left_out", ", {count} lines left out", ", пропущено строк: {count}", ", эске алынбаган сап: {count}";

    // What the timetable's check finds.
    NoWindow = "no_window", "the room \"{room}\" has no window between {from} and {to}", "у кабинета «{room}» нет ни одного окна с {from} по {to}", "«{room}» кабинетинде {from} – {to} аралыгында бир да убакыт жок";
    ManyWindows = "many_windows", "the room \"{room}\" has over {count} windows in eight days; the kernel will know fewer days", "у кабинета «{room}» больше {count} окон за восемь дней; ядро будет знать меньше дней", "«{room}» кабинетинде сегиз күндө {count} убакыттан көп; ядро азыраак күндү билет";
    ClassTwice = "class_twice", "the class \"{class}\" is in \"{one}\" and in \"{other}\" at once, first on {when}", "класс «{class}» одновременно в «{one}» и в «{other}», впервые {when}", "«{class}» классы бир убакта «{one}» жана «{other}» кабинеттеринде, биринчи жолу {when}";
    DayOutOfYear = "day_out_of_year", "the one-off day {date} is not in the academic year from {from} to {to}", "особый день {date} вне учебного года с {from} по {to}", "өзгөчө күн {date} окуу жылынан ({from} – {to}) тышкары";
    NoBells = "no_bells", "{count} lessons of \"{room}\" have no bells on {date} ({name})", "для уроков кабинета «{room}» нет звонков {date} ({name}), уроков: {count}", "«{room}» кабинетинин {count} сабагына {date} ({name}) коңгуроо жок";
    HolidayOutOfTerm = "holiday_out_of_term", "the holiday \"{name}\" on {date} is out of term", "праздник «{name}» {date} вне четвертей", "«{name}» майрамы {date} чейректен тышкары";
    BreakInTerm = "break_in_term", "the break \"{name}\" lies in the term \"{term}\"", "каникулы «{name}» попадают в четверть «{term}»", "«{name}» каникулу «{term}» чейрегине туура келет";
    UnusedTimetable = "unused_timetable", "no room and no day uses the timetable \"{name}\"", "расписание «{name}» не нужно ни кабинету, ни дню", "«{name}» жадыбалын бир да кабинет, бир да күн колдонбойт";
    UnusedBells = "unused_bells", "no timetable and no day uses the bells \"{name}\"", "звонки «{name}» не нужны ни расписанию, ни дню", "«{name}» коңгуроолорун бир да жадыбал, бир да күн колдонбойт";
    UnusedCategory = "unused_category", "no group allows or denies the category \"{name}\"", "ни одна группа не разрешает и не запрещает категорию «{name}»", "«{name}» категориясына бир да топ уруксат бербейт жана тыюу салбайт";
    CellEnded = "cell_ended", "what \"{group}\" may do with \"{category}\" ended on {date}", "решение для группы «{group}» о «{category}» истекло {date}", "«{group}» тобу үчүн «{category}» боюнча чечим {date} бүттү";
    ToLookAtCount = "to_look_at", "{count} to look at in the timetable", "в расписании надо посмотреть: {count}", "жадыбалда караш керек: {count}";
    ListsUnusable = "lists_unusable", "{count} lists cannot be used", "списков нельзя использовать: {count}", "колдонууга болбогон тизме: {count}";

    // What cannot be done, and what to do instead.
    ReplayUntagged = "replay_untagged", "{frames} frames have no VLAN tag: --room NAME says whose they are; the policy has {rooms}", "кадров без тега VLAN: {frames}; --room ИМЯ скажет, чьи они; в правилах есть: {rooms}", "VLAN белгиси жок кадрлар: {frames}; --room АТЫ алар кимдики экенин айтат; эрежелерде булар бар: {rooms}";
    ReplayCut = "replay_cut", "{bytes} bytes cut off by the recorder", "при записи отрезано байтов: {bytes}", "жазууда кесилген байт: {bytes}";
    ReplayLinkType = "replay_link_type", "{frames} frames are of link type {type}, which is not understood; Ethernet, raw IP, Linux cooked and loopback are", "кадров с незнакомым типом канала {type}: {frames}; знакомы Ethernet, IP, Linux cooked и loopback", "белгисиз {type} канал түрүндөгү кадрлар: {frames}; Ethernet, IP, Linux cooked жана loopback белгилүү";
    NoSuchRoom = "no_such_room", "there is no room {room}; the policy has {rooms}", "нет кабинета {room}; в правилах есть: {rooms}", "{room} кабинети жок; эрежелерде булар бар: {rooms}";
    OwnNeverBlocked = "own_never_blocked", "{target} lies in the school's own networks, which always pass; only `own` in [network] of the policy changes that", "{target} лежит в собственных сетях школы, а они проходят всегда; это меняет только `own` в [network] правил", "{target} мектептин өз тармактарында жатат, алар ар дайым өтөт; муну эрежелердин [network] бөлүгүндөгү `own` гана өзгөртөт";
    NoSuchGroup = "no_such_group", "there is no group {group}", "нет группы {group}", "{group} тобу жок";
    NoSuchCategory = "no_such_category", "there is no category {category}", "нет категории {category}", "{category} категориясы жок";
    NotSupervised = "not_supervised", "room {room} needs no teacher to hold it", "кабинету {room} ответственный учитель не нужен", "{room} кабинетине жооптуу мугалимдин кереги жок";
    NoLessonNow = "no_lesson_now", "room {room} has no lesson now", "в кабинете {room} сейчас нет урока", "{room} кабинетинде азыр сабак жок";
    NoLessonNext = "no_lesson_next", "room {room} has no lesson now; its next lesson begins {start}", "в кабинете {room} сейчас нет урока; следующий начнётся {start}", "{room} кабинетинде азыр сабак жок; кийинкиси {start} башталат";
    HeldByOther = "held_by_other", "{holder} holds room {room} until {until}; ask them to release it, or wait for the bell", "за кабинет {room} до {until} отвечает {holder}; попросите освободить его или дождитесь звонка", "{room} кабинети үчүн {until} чейин {holder} жооптуу; бошотууну сураныңыз же коңгуроону күтүңүз";
    NobodyHolds = "nobody_holds", "nobody holds room {room}", "за кабинет {room} никто не отвечает", "{room} кабинети үчүн эч ким жооптуу эмес";
    NotYourLease = "not_your_lease", "{holder} holds room {room}, and only they or a responsible person can release it", "за кабинет {room} отвечает {holder}; освободить его может только он(а) или ответственный", "{room} кабинети үчүн {holder} жооптуу; аны өзү же жооптуу адам гана бошото алат";
    CategoryLocked = "category_locked", "category {category} is locked: no grant opens it", "категория {category} закрыта навсегда: никакое разрешение её не открывает", "{category} категориясы биротоло жабык: аны эч кандай уруксат ачпайт";
    GrantNeedsReason = "grant_needs_reason", "a grant needs a reason", "разрешению нужна причина (--reason)", "уруксатка себеп керек (--reason)";
    TooManyGrants = "too_many_grants", "{count} grants are in force; revoke some first (filter-agent grant list)", "действует {count} разрешений; сначала отзовите лишние (filter-agent grant list)", "{count} уруксат күчүндө; адегенде ашыкчасын кайтарып алыңыз (filter-agent grant list)";
    NoSuchGrant = "no_such_grant", "no grant {id} is in force; see: filter-agent grant list", "разрешения {id} нет среди действующих; смотрите: filter-agent grant list", "{id}-уруксат күчүндө эмес; караңыз: filter-agent grant list";
    TooManyBlocks = "too_many_blocks", "{count} blocks are in force; move them into a list of the policy and lift them", "действует {count} блокировок; перенесите их в список правил и снимите", "{count} бөгөт күчүндө; аларды эрежелердин тизмесине көчүрүп, алып салыңыз";
    NotBlockedByHand = "not_blocked_by_hand", "{target} is not blocked by hand; which rule denies it: filter-agent explain", "{target} не заблокирован вручную; какое правило запрещает: filter-agent explain", "{target} кол менен бөгөттөлгөн эмес; кайсы эреже тыюу салат: filter-agent explain";
    NoSuchReport = "no_such_report", "no report {id} waits for a decision; see: filter-agent council list", "сообщение {id} не ждёт решения; смотрите: filter-agent council list", "{id}-билдирүү чечим күтпөйт; караңыз: filter-agent council list";
    NoSuchIncident = "no_such_incident", "there is no incident {id}; see: filter-agent incidents list", "нет инцидента {id}; смотрите: filter-agent incidents list", "{id}-окуя жок; караңыз: filter-agent incidents list";
    IncidentWasClosed = "incident_was_closed", "incident {id} was closed by {by}", "инцидент {id} уже закрыл(а) {by}", "{id}-окуяны {by} жапкан";
    KeyDestroyed = "key_destroyed", "the retention time of incident {id} is over: its key was destroyed and nobody can tell the device any more", "срок хранения инцидента {id} истёк: ключ уничтожен, и устройство больше никто не узнает", "{id}-окуянын сактоо мөөнөтү бүттү: ачкыч жок кылынды, түзмөктү эми эч ким биле албайт";
    IdentityNeedsReason = "identity_needs_reason", "opening an identity needs a reason", "чтобы узнать устройство, нужна причина (--reason)", "түзмөктү билүү үчүн себеп керек (--reason)";
    SpanWrong = "span_wrong", "a span is longer than nothing and not longer than a year", "срок должен быть больше нуля и не больше года", "мөөнөт нөлдөн көп жана бир жылдан ашпашы керек";
    TimeWrong = "time_wrong", "`{text}` is no time; write it like 2026-11-24T10:15 or 2026-11-24", "`{text}` — не время; пишите так: 2026-11-24T10:15 или 2026-11-24", "`{text}` убакыт эмес; мындай жазыңыз: 2026-11-24T10:15 же 2026-11-24";
    HostWrong = "host_wrong", "`{text}`: {why}", "`{text}` — не имя хоста ({why}); пишите так: example.org", "`{text}` хосттун аталышы эмес ({why}); мындай жазыңыз: example.org";
    SpanText = "span_text", "`{text}` is no span of time; write it like 45m, 1h30m or 2h", "`{text}` — не срок; пишите так: 45m, 1h30m или 2h", "`{text}` мөөнөт эмес; мындай жазыңыз: 45m, 1h30m же 2h";
    RangeTooWide = "range_too_wide", "{range} is a good part of the Internet; at least /{least} is needed", "{range} — заметная часть Интернета; нужно не шире /{least}", "{range} — интернеттин чоң бөлүгү; /{least} префиксинен кең болбошу керек";
    NameTarget = "name_target", "name a host or an address", "назовите хост или адрес", "хостту же даректи көрсөтүңүз";
    WhoAreYou = "who_are_you", "it cannot be told who you are: the system's user database does not answer; try again, and try: getent passwd {uid}", "неизвестно, кто вы: база пользователей системы не отвечает; попробуйте ещё раз и проверьте: getent passwd {uid}", "ким экениңиз белгисиз: системанын колдонуучулар базасы жооп бербейт; дагы аракет кылыңыз жана текшериңиз: getent passwd {uid}";
    NeedsRole = "needs_role", "{who} may not do this: it needs the role {need}, your role is {have}; the policy's [roles] gives roles to Unix groups", "{who}: это вам не разрешено: нужна роль «{need}», ваша роль — «{have}»; роли группам Unix даёт [roles] в правилах", "{who}: буга уруксатыңыз жок: «{need}» ролу керек, сиздики — «{have}»; ролдорду Unix топторуна эрежелердеги [roles] берет";
    NoRole = "no_role", "{who} may not do this: it needs the role {need}, you have none; the policy's [roles] gives roles to Unix groups", "{who}: это вам не разрешено: нужна роль «{need}», у вас нет никакой; роли группам Unix даёт [roles] в правилах", "{who}: буга уруксатыңыз жок: «{need}» ролу керек, сизде эч бири жок; ролдорду Unix топторуна эрежелердеги [roles] берет";
    MayNotOpenSocket = "may_not_open_socket", "you may not open {socket}: log in as a member of its group (ls -l {socket}), or use sudo", "вам нельзя открыть {socket}: войдите как участник его группы (ls -l {socket}) или используйте sudo", "сиз {socket} сокетин ача албайсыз: анын тобунун мүчөсү катары кириңиз (ls -l {socket}) же sudo колдонуңуз";
    NobodyAnswers = "nobody_answers", "no agent answers at {socket} ({error}); start it with `filter-agent run --policy FILE`, or name its socket with --socket. What it put into the kernel still filters, unless `filter-agent detach` took it off", "на {socket} никто не отвечает ({error}); запустите агента: `filter-agent run --policy FILE`, или назовите сокет: --socket. То, что он поставил в ядро, фильтрует и дальше, если это не снял `filter-agent detach`", "{socket} боюнча эч ким жооп бербейт ({error}); агентти иштетиңиз: `filter-agent run --policy FILE`, же сокетти көрсөтүңүз: --socket. Ал ядрого койгону `filter-agent detach` албаса, мурдагыдай эле чыпкалайт";
    HungUp = "hung_up", "the agent at {socket} hung up: {error}", "агент на {socket} оборвал связь: {error}", "{socket} агенти байланышты үздү: {error}";
    ApplyBusy = "apply_busy", "another policy is being applied; try again when it is through", "применяются другие правила; повторите, когда это закончится", "башка эрежелер колдонулууда; бүткөндө кайталаңыз";
    ServedElsewhere = "served_elsewhere", "an agent serves the filter at {path} and listens elsewhere: name its socket with --socket FILE (socket in [control] of its policy), or end it first", "фильтр в {path} обслуживает агент с другим сокетом: назовите его сокет (--socket ФАЙЛ, смотрите socket в [control] его правил) или сначала остановите его", "{path} чыпкасын башка сокеттеги агент тейлейт: анын сокетин көрсөтүңүз (--socket ФАЙЛ, анын эрежелеринин [control] бөлүгүндөгү socket), же адегенде аны токтотуңуз";
    NothingPinned = "nothing_pinned", "no filter is pinned at {path}", "в {path} нет закреплённого фильтра", "{path} ичинде бекитилген чыпка жок";
    NoSuchHelp = "no_such_help", "there is no command {command}; `filter-agent --help` lists them", "нет команды {command}; все команды покажет `filter-agent --help`", "{command} командасы жок; бардык командаларды `filter-agent --help` көрсөтөт";
}

impl Message {
    /// The template in a language.
    pub const fn text(self, language: Language) -> &'static str {
        language.of(self.texts())
    }

    /// The message of a key.
    pub fn named(key: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|message| message.key() == key)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The places of a template.
    fn places(template: &str) -> BTreeSet<&str> {
        template
            .split('{')
            .skip(1)
            .map(|rest| rest.split_once('}').expect("a place ends").0)
            .collect()
    }

    #[test]
    fn every_message_exists_in_every_language_with_the_same_places() {
        for message in Message::ALL {
            let [english, russian, kyrgyz] = message.texts();
            assert!(english.is_ascii() && !english.is_empty(), "{message:?}");
            for text in [russian, kyrgyz] {
                assert_eq!(places(text), places(english), "{message:?}: {text}");
                let words = text.split(['{', '}']).step_by(2).collect::<String>();
                assert!(
                    words.chars().any(|c| ('\u{400}'..'\u{500}').contains(&c))
                        || words.chars().all(|c| !c.is_alphabetic()),
                    "{message:?}: {text}"
                );
            }
        }
    }

    #[test]
    fn commands_inside_messages_are_the_same_in_every_language() {
        let commands = |text: &str| -> Vec<String> {
            text.match_indices("filter-agent ")
                .map(|(at, _)| {
                    text[at..]
                        .chars()
                        .take_while(|c| c.is_ascii_alphanumeric() || " -".contains(*c))
                        .collect::<String>()
                        .trim()
                        .to_owned()
                })
                .collect()
        };
        for message in Message::ALL {
            let [english, russian, kyrgyz] = message.texts();
            assert_eq!(commands(english), commands(russian), "{message:?}");
            assert_eq!(commands(english), commands(kyrgyz), "{message:?}");
        }
    }

    #[test]
    fn keys_are_distinct() {
        let keys: BTreeSet<_> = Message::ALL.iter().map(|message| message.key()).collect();
        assert_eq!(keys.len(), Message::ALL.len());
    }
}
