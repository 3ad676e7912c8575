using System.Reflection;
using System.Reflection.Emit;

namespace Mirror.Tests.Architecture;

/// <summary>Which rooms use which others, read from the compiled code: signatures, fields, attributes and method bodies.</summary>
internal sealed class Arrows
{
    private const BindingFlags Everything =
        BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    private static readonly Dictionary<short, OpCode> Codes = typeof(OpCodes).GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    private readonly SortedDictionary<string, SortedDictionary<string, string>> _uses = new(StringComparer.Ordinal);
    private readonly Dictionary<MethodBase, HashSet<Type>> _callers = [];
    private readonly HashSet<Assembly> _assemblies;

    public Arrows(params Assembly[] assemblies)
    {
        _assemblies = [.. assemblies];
        foreach (var type in assemblies.SelectMany(assembly => assembly.GetTypes()))
            Read(type);
    }

    /// <summary>Every room.</summary>
    public IEnumerable<string> Rooms => _uses.Keys;

    /// <summary>The methods that the code of some types calls.</summary>
    public IReadOnlySet<MethodBase> CalledBy(Predicate<Type> isCaller) =>
        _callers.Where(called => called.Value.Any(caller => isCaller(caller))).Select(called => called.Key).ToHashSet();

    /// <summary>The rooms that a room uses, each with one place where it does.</summary>
    public IReadOnlyDictionary<string, string> From(string room) => _uses[room];

    /// <summary>The shortest way from a room back to itself, as rooms; null where there is none.</summary>
    public IReadOnlyList<string>? Circle(string room)
    {
        Queue<string[]> ways = new([[room]]);
        HashSet<string> seen = [];
        while (ways.TryDequeue(out var way))
            foreach (var next in From(way[^1]).Keys)
            {
                if (next == room)
                    return [.. way, room];
                if (seen.Add(next))
                    ways.Enqueue([.. way, next]);
            }
        return null;
    }

    /// <summary>The room of a type: the first folder below its project, and below <c>Buckets</c> the kind of bucket.</summary>
    public static string RoomOf(Type type)
    {
        var outer = type;
        while (outer.DeclaringType is { } declaring)
            outer = declaring;
        var parts = (outer.Namespace ?? "Mirror").Split('.');
        return parts is ["Mirror", "Storage", "Buckets", var kind, ..] ? $"Storage.Buckets.{kind}"
            : parts is ["Mirror", "Storage", var room, ..] ? $"Storage.{room}"
            : parts is ["Mirror", var first, ..] ? first
            : "Mirror";
    }

    private void Read(Type type)
    {
        if (type.Namespace?.StartsWith("Mirror", StringComparison.Ordinal) != true)
            return;
        _uses.TryAdd(RoomOf(type), new(StringComparer.Ordinal));
        Use(type, type.BaseType);
        foreach (var used in type.GetInterfaces())
            Use(type, used);
        foreach (var field in type.GetFields(Everything))
            Use(type, field.FieldType);
        foreach (var method in type.GetMembers(Everything).OfType<MethodBase>())
        {
            Use(type, (method as MethodInfo)?.ReturnType);
            foreach (var parameter in method.GetParameters())
                Use(type, parameter.ParameterType);
            if (method.GetMethodBody() is { } body)
                ReadBody(type, method, body);
        }
    }

    private void ReadBody(Type type, MethodBase method, MethodBody body)
    {
        foreach (var local in body.LocalVariables)
            Use(type, local.LocalType);
        var il = body.GetILAsByteArray()!;
        for (var at = 0; at < il.Length;)
        {
            var value = il[at] == 0xFE ? (short)(0xFE00 | il[at + 1]) : il[at];
            var code = Codes[value];
            at += code.Size;
            if (code.OperandType is OperandType.InlineField or OperandType.InlineMethod or OperandType.InlineTok or OperandType.InlineType)
                UseMember(type, method, BitConverter.ToInt32(il, at));
            at += code.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => 4 + 4 * BitConverter.ToInt32(il, at),
                _ => 4,
            };
        }
    }

    private void UseMember(Type type, MethodBase method, int token)
    {
        var ofMethod = method is MethodInfo { IsGenericMethod: true } ? method.GetGenericArguments() : null;
        var member = method.Module.ResolveMember(token, type.IsGenericType ? type.GetGenericArguments() : null, ofMethod);
        Use(type, member as Type ?? member?.DeclaringType);
        if (member is MethodBase called)
            (_callers.TryGetValue(called, out var callers) ? callers : _callers[called] = []).Add(type);
        foreach (var argument in member is MethodInfo { IsGenericMethod: true } generic ? generic.GetGenericArguments() : [])
            Use(type, argument);
    }

    private void Use(Type user, Type? used)
    {
        while (used?.HasElementType == true)
            used = used.GetElementType();
        if (used is null || used.IsGenericParameter)
            return;
        foreach (var argument in used.GetGenericArguments())
            Use(user, argument);
        if (!_assemblies.Contains(used.Assembly) || used.Namespace?.StartsWith("Mirror", StringComparison.Ordinal) != true)
            return;
        var (from, to) = (RoomOf(user), RoomOf(used));
        if (from != to)
            _uses[from].TryAdd(to, $"{user.FullName} uses {used.FullName}");
    }
}
